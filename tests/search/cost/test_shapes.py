"""What shapes weigh, and which of them are measured at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.helpers.checkpoints import write_model

from lighten.export.bundle import Serving
from lighten.export.random import write_random
from lighten.models.checkpoint import read_config
from lighten.models.layout import Shape
from lighten.search.cost import shapes
from lighten.search.cost.shapes import REFERENCE, measure_costs, oversize_mb, weight_bytes
from lighten.search.run import Run
from lighten.search.students.space import Point, Student

MINILM = Shape(layers=6, hidden=384, heads=12, intermediate=1536, vocabulary=30522, positions=512, classes=2)
SERVING = Serving(("bad", "good"), 32, 1)
NARROW = Point(Student(1, 128, "full", hidden=16), "none")
WIDE = Point(Student(1, 128, "full"), "none")


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Sessions by the names that were timed, none of them for real."""
    sessions: list[list[str]] = []

    def time_folders(run: Run, folders: dict[str, Any], seconds: float, large: Any) -> dict[str, dict[str, Any]]:
        sessions.append(list(folders))
        assert all((folder / "onnx/model.onnx").is_file() for folder in folders.values())
        latency = {"mean": 1.0, "p50": 1.0, "p95": 1.2}
        return {name: {"latency_ms": latency, "throughput_per_s": 1000.0, "size_mb": 1.0} for name in folders}

    monkeypatch.setattr(shapes, "time_folders", time_folders)
    return sessions


def limited(run: Run, **limits: Any) -> Run:
    """Return the build under another budget."""
    recipe = run.recipe.model_copy(update={"budget": run.recipe.budget.model_copy(update=limits)})
    return replace(run, recipe=recipe)


def weight_mb(run: Run, point: Point) -> float:
    return weight_bytes(point.shape(run.full, run.full.vocabulary), None, point.int8) / 1e6


def measured(run: Run, *points: Point) -> dict[str, dict[str, Any]]:
    return measure_costs(run, points, {"full": run.model}, {"full": run.full.vocabulary})


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize(
    ("kind", "shape", "width"),
    [
        ("bert", MINILM.with_(layers=1, vocabulary=2000), None),
        ("bert", MINILM.with_(layers=3, intermediate=512, vocabulary=6000), None),
        ("distilbert", Shape(2, 256, 8, 1024, 8000, 512, 20), None),
        ("roberta", Shape(2, 128, 2, 512, 1000, 512, 3), None),
        ("electra", Shape(4, 256, 4, 1024, 9000, 512, 2), 128),
    ],
)
def test_weight_bytes_foresees_the_file(tmp_path, kind, shape, width, int8):
    checkpoint = write_model(tmp_path / kind, kind)
    config = {**read_config(checkpoint), **({} if width is None else {"embedding_size": width})}
    (tmp_path / "model").mkdir()
    write_random(tmp_path / "model", config, shape, "int8" if int8 else "fp32", checkpoint, SERVING)
    written = (tmp_path / "model/onnx/model.onnx").stat().st_size
    assert weight_bytes(shape, width, int8) == pytest.approx(written, rel=0.02)


def test_tables_are_as_wide_as_the_shape_unless_they_have_their_own_width():
    narrow = MINILM.with_(hidden=192, heads=6)
    rows = narrow.vocabulary + narrow.positions
    assert weight_bytes(narrow, None, False) == weight_bytes(narrow, 192, False)
    assert weight_bytes(narrow, 384, False) - weight_bytes(narrow, None, False) == 4 * rows * 192


def test_a_narrow_shape_within_the_limit_on_size_is_measured(opened: Callable[..., Run], timed: list[list[str]]):
    run = opened()
    small = weight_mb(run, NARROW)
    as_wide = weight_bytes(NARROW.shape(run.full, run.full.vocabulary), run.full.hidden, False) / 1e6
    assert small < as_wide < weight_mb(run, WIDE)
    between = limited(run, size_mb=(small + as_wide) / 2)
    found = measured(between, NARROW, WIDE)
    assert timed == [[REFERENCE, NARROW.name(run.full)]]
    assert found[NARROW.name(run.full)]["latency_ms"]["p50"] == 1.0
    assert found[WIDE.name(run.full)] == {"size_mb": round(weight_mb(run, WIDE), 3)}
    assert set(found) == {REFERENCE, NARROW.name(run.full), WIDE.name(run.full)}


def test_the_reference_is_measured_whatever_the_limit(opened: Callable[..., Run], timed: list[list[str]]):
    run = limited(opened(), size_mb=1e-6)
    found = measured(run, NARROW)
    assert timed == [[REFERENCE]] and "latency_ms" in found[REFERENCE]
    assert set(found[NARROW.name(run.full)]) == {"size_mb"}


def test_nothing_is_oversize_without_a_limit_or_at_it(opened: Callable[..., Run]):
    run = opened()
    shape, own = WIDE.shape(run.full, run.full.vocabulary), weight_mb(run, WIDE)
    assert oversize_mb(limited(run, size_mb=None), shape, False) is None
    assert oversize_mb(limited(run, size_mb=own), shape, False) is None
    assert oversize_mb(limited(run, size_mb=own * 0.999), shape, False) == own


def test_what_another_budget_measured_is_not_measured_again(opened: Callable[..., Run], timed: list[list[str]]):
    run = opened()
    first = measured(run, NARROW)
    assert measured(limited(run, latency_ms=3.0), NARROW) == first
    measured(run, NARROW, WIDE)
    assert timed == [[REFERENCE, NARROW.name(run.full)], [REFERENCE, WIDE.name(run.full)]]


def test_large_batches_are_timed_of_the_reference_unless_throughput_is_asked_for(
    opened: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
):
    asked: list[list[str]] = []

    def in_fresh_process(folders: Any, threads: int, runs: list[dict[str, Any]], seed: int) -> list[Any]:
        asked.append(runs[1]["names"])
        latency = SimpleNamespace(p50=1.0, to_dict=lambda: {"p50": 1.0, "p95": 1.0}, per_second=1000.0)
        return [dict.fromkeys(run.get("names", folders), latency) for run in runs]

    monkeypatch.setattr(shapes, "time_in_fresh_process", in_fresh_process)
    run, narrow = opened(), NARROW.name(opened().full)
    found = measured(run, NARROW)
    assert asked == [[REFERENCE]]
    assert "throughput_per_s" in found[REFERENCE] and "throughput_per_s" not in found[narrow]
    found = measured(limited(run, throughput_per_s=1.0), NARROW)
    assert asked[1] == [REFERENCE, narrow] and found[narrow]["throughput_per_s"] == 1000.0

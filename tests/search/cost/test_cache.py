"""A cost model of the machine at hand: fitted to a tiny encoder, kept for the user, checked before it is trusted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.search.cost.cost_worlds import known_model

from lighten.models.checkpoint import read_config
from lighten.models.layout import shape_of
from lighten.progress import Progress
from lighten.search.cost import cache as cost_cache
from lighten.search.cost import grid as cost_grid
from lighten.search.cost import samples as cost_samples
from lighten.search.cost.cache import cache_file, fit_cost_model
from lighten.search.cost.grid import make_grid
from lighten.search.cost.setting import Setting


class Notes(Progress):
    """Keeps what was noted."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cost_samples, "SECONDS", 1.0)
    monkeypatch.setattr(cost_grid, "DESIGN", cost_grid.DESIGN[:4])


@pytest.fixture
def setting(world: Path) -> Setting:
    config = read_config(world / "model")
    return Setting(config, shape_of(config, 2), world / "model", ("a", "b"), 1, 16, (1,), memory=False)


def grid_of(setting: Setting):
    return make_grid(setting.full, batch=1, tokens=16, threads=setting.threads, longest=setting.longest)


@pytest.fixture
def known(setting: Setting, monkeypatch):
    """A model in the cache, and a list to which every fit anew is added."""
    fits: list[Setting] = []

    def never(*arguments: object) -> None:
        fits.append(setting)
        raise AssertionError("fitted anew")

    cost_cache._write(cache_file(setting, grid_of(setting)), known_model(), Progress())
    monkeypatch.setattr(cost_cache, "measure_grid", never)
    return fits


def test_fitted_to_a_tiny_encoder_with_its_memory(setting):
    ticks: list[int] = []
    notes = Notes()
    with_memory = replace(setting, memory=True)
    model = fit_cost_model(with_memory, notes, lambda: ticks.append(1))
    said = model.predict(setting.full, True, batch=1, tokens=16, threads=1, tokenizer=setting.tokenizer)
    assert 0 < said["latency_ms"]["p50"] <= said["latency_ms"]["p95"] < 1000
    assert 20 < said["peak_memory_mb"] < 1000
    files = sum(path.stat().st_size for path in setting.tokenizer.glob("tokenizer*")) / 1e6
    assert files < said["size_mb"] < files + 1
    assert model.source == "fitted" and ticks
    assert notes.notes == []
    kept = json.loads(cache_file(with_memory, grid_of(setting)).read_text())
    assert kept["format"] == 1 and kept["model"]["laws"]


def test_a_cached_model_that_agrees_is_used(setting, known, monkeypatch):
    monkeypatch.setattr(cost_cache, "disagreement", lambda *_: 0.2)
    assert fit_cost_model(setting).source == "cached"
    assert known == []


def test_a_cached_model_that_does_not_agree_is_fitted_anew_with_a_note(setting, known, monkeypatch):
    monkeypatch.setattr(cost_cache, "disagreement", lambda *_: 0.6)
    notes = Notes()
    with pytest.raises(AssertionError, match="fitted anew"):
        fit_cost_model(setting, notes)
    assert "off by 60%" in notes.notes[0]


def test_nothing_is_taken_from_the_cache_when_it_should_not(setting, known):
    with pytest.raises(AssertionError, match="fitted anew"):
        fit_cost_model(setting, cached=False)


@pytest.mark.parametrize("content", ["", "[]", '{"format": 0}', '{"format": 1, "model": {"laws": []}}'])
def test_a_damaged_cache_is_measured_again(setting, known, content):
    cache_file(setting, grid_of(setting)).write_text(content)
    with pytest.raises(AssertionError, match="fitted anew"):
        fit_cost_model(setting)


def test_disagreement_is_that_of_new_measurements(setting):
    from lighten.search.cost.model import CostModel

    measured = cost_samples.measure_grid(setting, grid_of(setting), Progress(), lambda: None)
    model = CostModel.fit(measured)
    faster = {
        key: [cost_samples.Sample(s.shape, s.batch, s.tokens, s.p50 / 30, s.p95 / 30, s.calls) for s in samples]
        for key, samples in measured.times.items()
    }
    off = cost_cache.disagreement(
        CostModel.fit(cost_samples.Measured(faster, measured.weighed)), setting, grid_of(setting)
    )
    assert off > 5
    assert off > cost_cache.disagreement(model, setting, grid_of(setting))


def test_the_key_holds_what_time_depends_on(setting):
    def key(**changes):
        changed = replace(setting, **changes)
        return cache_file(changed, grid_of(changed)).name

    names = {key(), key(threads=(2,)), key(config={**setting.config, "hidden_act": "relu"}), key(memory=True)}
    names.add(key(full=setting.full.with_(layers=1)))
    assert len(names) == 5
    assert key() == key(labels=("x", "y", "z"), seed=3)


def test_a_cache_that_cannot_be_written_is_said(setting, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LIGHTEN_CACHE", str(tmp_path / "file"))
    notes = Notes()
    cost_cache._write(cache_file(setting, grid_of(setting)), known_model(), notes)
    assert "LIGHTEN_CACHE" in notes.notes[0]

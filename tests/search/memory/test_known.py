"""Evidence by content."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.search_run import make_run

from lighten.pipeline import Workspace
from lighten.search.memory import known
from lighten.search.memory.known import Known, conditions, content_of, memory_of, wants_memory


def write(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_the_content_of_a_folder_is_its_names_and_bytes(tmp_path: Path) -> None:
    one = write(tmp_path / "one", graph="x", config="y")
    assert content_of(one) == content_of(write(tmp_path / "twin", config="y", graph="x"))
    assert content_of(one) != content_of(write(tmp_path / "changed", graph="x", config="z"))
    assert content_of(one) != content_of(write(tmp_path / "renamed", graph="x", other="y"))


def test_an_artifact_has_the_content_of_its_files_however_it_was_made(tmp_path: Path) -> None:
    def work(target: Path) -> dict[str, int]:
        (target / "graph").write_text("x")
        return {}

    space = Workspace(tmp_path / "work")
    made, other = (space.produce("model", {"seed": seed}, [], work) for seed in (0, 1))
    assert made.path != other.path and content_of(made.path) == content_of(other.path)
    assert content_of(made.path) == content_of(write(tmp_path / "plain", graph="x"))


def test_what_is_kept_is_measured_once(tmp_path: Path) -> None:
    measured: list[int] = []

    def measure() -> int:
        measured.append(1)
        return len(measured)

    store = Known(tmp_path / "evidence")
    assert [store.once("memory", ["a", 1], measure) for _ in range(3)] == [1, 1, 1]
    assert Known(tmp_path / "evidence").once("memory", ["a", 1], measure) == 1
    assert store.once("memory", ["a", 2], measure) == 2 and store.once("cold", ["a", 1], measure) == 3
    store.keep("memory", ["a", 1], 9)
    assert store.get("memory", ["a", 1]) == 9


def test_a_damaged_file_is_measured_again(tmp_path: Path) -> None:
    store = Known(tmp_path / "evidence")
    store.keep("memory", "a", 1)
    for file in (tmp_path / "evidence").iterdir():
        file.write_text("{torn")
    assert store.get("memory", "a") is None
    assert store.once("memory", "a", lambda: 2) == 2 == store.get("memory", "a")


def test_conditions_are_target_machine_and_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = conditions(make_run(tmp_path))
    assert here == conditions(make_run(tmp_path, budget={"latency_ms": 1}))  # no budget changes a measurement
    assert here != conditions(make_run(tmp_path, target={"threads": 2, "batch": 1, "tokens": 8}))
    monkeypatch.setattr(known, "environment", lambda: "elsewhere")
    assert here != conditions(make_run(tmp_path))


def test_memory_is_weighed_once_per_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weighed: list[Path] = []
    monkeypatch.setattr(known, "peak_memory_mb", lambda folder, target: weighed.append(folder) or 12.345)
    one, twin = write(tmp_path / "one", graph="x"), write(tmp_path / "twin", graph="x")
    assert memory_of(make_run(tmp_path), one) == memory_of(make_run(tmp_path), twin) == 12.35
    assert weighed == [one]


def test_memory_is_wanted_where_it_is_limited_or_minimised(tmp_path: Path) -> None:
    assert not wants_memory(make_run(tmp_path).recipe)
    assert wants_memory(make_run(tmp_path, budget={"peak_memory_mb": 99}).recipe)
    assert wants_memory(make_run(tmp_path, minimise="peak_memory_mb").recipe)

"""The second look at costs before the sealed test: whom it demotes, and when it ends."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.helpers.search_run import make_run

from lighten.search.candidate import Candidate
from lighten.search.decision.choose import rank
from lighten.search.decision.proof import LOOKS, _affordable

COUNT = 8


def candidates() -> list[Candidate]:
    """Return eight that hold the floor within the limit, the fastest first."""
    return [
        Candidate(
            f"c{number}",
            "student",
            [],
            metrics={
                "latency_ms": {"p50": 1.0 + number / 5, "p95": 1.0 + number / 5},
                "quality": {"value": 90.0, "delta": 0.0},
            },
            folder=Path(f"c{number}"),
            order=number,
        )
        for number in range(COUNT)
    ]


def look(run: Any, slower: float, seconds: float) -> tuple[Candidate, list[str]]:
    """Choose where everything is so much slower when measured again; returns the chosen and who was looked at."""
    made, seen = rank(candidates(), run.recipe), []

    def second_look(folder: Path, reference: Path) -> dict[str, Any]:
        seen.append(folder.name)
        run.clock.left -= seconds
        known = next(c for c in made if c.folder == folder).metrics["latency_ms"]
        return {"latency_ms": {name: value * slower for name, value in known.items()}}

    instruments: Any = SimpleNamespace(second_look=second_look)
    return _affordable(run, instruments, made, Path("reference"), lambda candidate: candidate.folder), seen


def make(folder: Path, left: float, **search: Any) -> Any:
    run = make_run(folder, budget={"latency_ms": 3, "quality": -3}, search=search)
    run.clock = SimpleNamespace(left=left)
    return run


def test_the_first_that_holds_is_taken(tmp_path: Path) -> None:
    chosen, seen = look(make(tmp_path, 100), 1.0, 5)
    assert chosen.name == "c0" and seen == ["c0"]


def test_with_time_all_are_looked_at_and_the_nearest_miss_is_taken(tmp_path: Path) -> None:
    chosen, seen = look(make(tmp_path, 100), 10.0, 5)
    assert len(seen) == COUNT and chosen.name == "c0"


@pytest.mark.parametrize(("left", "looks"), [(-5.0, LOOKS), (22.0, 5)])
def test_the_clock_ends_it_and_the_best_by_what_is_known_is_taken(tmp_path: Path, left: float, looks: int) -> None:
    run = make(tmp_path, left)
    chosen, seen = look(run, 10.0, 5)
    assert len(seen) == looks
    assert chosen.name == f"c{looks}"  # nobody saw it miss
    assert any("the time is up" in note for note in run.progress.said)


def test_where_no_clock_rules_it_ends_nothing(tmp_path: Path) -> None:
    assert len(look(make(tmp_path, -5, candidates=1), 10.0, 5)[1]) == COUNT

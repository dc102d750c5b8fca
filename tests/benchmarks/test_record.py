"""Records of one day are joined; what was measured at another commit says so."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from record import joined


def test_what_a_later_run_did_not_measure_stays_with_its_commit() -> None:
    first = {"benchmark": "train", "commit": "a", "ddp_speed": 1.04, "speed": 1.0}
    second = {"benchmark": "train", "commit": "b", "speed": 2.0}
    third = {"benchmark": "train", "commit": "c", "share": 0.7}
    both = joined(first, second)
    assert both == {
        "benchmark": "train",
        "commit": "b",
        "speed": 2.0,
        "ddp_speed": 1.04,
        "earlier": {"ddp_speed": "a"},
    }
    assert joined(both, third)["earlier"] == {"ddp_speed": "a", "speed": "b"}
    assert joined(first, first) == first


def test_parts_are_joined_one_by_one() -> None:
    first = {"commit": "a", "parts": {"clean": 1, "near": 2}}
    both = joined(first, {"commit": "b", "parts": {"clean": 3}})
    assert both == {"commit": "b", "parts": {"clean": 3, "near": 2}, "earlier": {"parts, near": "a"}}


def test_goals_are_joined_one_by_one() -> None:
    first = {"commit": "a", "slope": 1.1, "goals_met": {"slope": True, "speed": False}}
    both = joined(first, {"commit": "b", "speed": 3, "goals_met": {"speed": True}})
    assert both["goals_met"] == {"slope": True, "speed": True}
    assert both["earlier"] == {"slope": "a", "goals_met, slope": "a"}

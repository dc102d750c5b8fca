"""Each goal is judged on a build that aimed at it, and by its intervals."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import bench_compress
from bench_compress import GOALS, aimed_at, costs_now, verdict
from lighten.recipe import read_recipe


def comparison(speed: float, points: float, margin: float = 0.1, size: float = 9.0) -> dict[str, object]:
    return {
        "size_ratio": size,
        "speedup_batch1": speed,
        "speedup_batch1_ci95": [speed - margin, speed + margin],
        "points_lost": points,
        "points_lost_ci95": [points - margin, points + margin],
    }


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (comparison(9.5, 0.5), "met"),
        (comparison(9.5, 0.5, 0.8), "met, interval not above 9 times, interval not below 1 points"),
        (comparison(12, 0.9, 0.2), "met, interval not below 1 points"),
        (comparison(8.9, 0.5), "missed"),
        (comparison(12, 1.1, 2), "missed"),
    ],
)
def test_what_is_said_of_a_goal(found, said):
    assert verdict(GOALS["product"], found) == said


def test_a_size_has_no_interval():
    assert verdict(GOALS["smallest"], comparison(1, 0.5, size=15.1)) == "met"
    assert verdict(GOALS["smallest"], comparison(99, 0.5, size=14.9)) == "missed"


def test_a_build_is_asked_for_quality_within_a_share_of_the_reference():
    reference = {"latency_ms": {"mean": 9.45, "p50": 9.0, "p95": 20.0}, "size_mb": 90.9}
    assert aimed_at(GOALS["product"], reference) == [
        "minimise=null",
        "maximise=quality",
        "budget.quality=null",
        "budget.size_mb=null",
        "budget.latency_ms=1.0000",
        "budget.latency_percentile=mean",
    ]
    recipe = read_recipe(Path(bench_compress.__file__).parents[1] / "examples" / "reviews.yaml",
                         aimed_at(GOALS["smallest"], reference))  # fmt: skip
    assert recipe.objective == "quality" and recipe.budget.size_mb == 6.0 and recipe.budget.build_minutes == 8
    assert (recipe.budget.quality, recipe.budget.latency_ms) == (None, None)


@pytest.mark.parametrize(("now", "taken"), [(4.0, 4.0), (6.0, 5.0)])
def test_limits_follow_from_the_quicker_of_two_timings_of_the_reference(now, taken, tmp_path, monkeypatch):
    metrics = {"latency_ms": {"mean": 5.0}, "size_mb": 90.9}
    result = {"reference": {"metrics": metrics}, "folders": {"reference": "model"}, "target": {}, "seed": 0}
    asked = []

    def costs(folders, target, **options):
        asked.append(folders)
        return {"reference": {"latency_ms": {"mean": now}, "size_mb": 1.0}}

    monkeypatch.setattr(bench_compress, "read", lambda out: result)
    monkeypatch.setattr(bench_compress, "costs", costs)
    assert costs_now(tmp_path) == {"latency_ms": {"mean": taken}, "size_mb": 90.9}
    assert asked == [{"reference": tmp_path / "model"}]


@pytest.fixture
def builds(tmp_path, monkeypatch):
    """Builds that end at once; what was asked for, and what was written."""
    asked, written = [], []

    def build(recipe, out, set):
        out.mkdir(parents=True, exist_ok=True)
        (out / "result.json").write_text("{}")
        asked.append((out.name, set))
        return SimpleNamespace(verdict="fits")

    result = {
        "folders": {"data": "data", "reference": "reference"},
        "target": {},
        "seed": 0,
        "sentence": "one.",
        "chosen": {"name": "small"},
        "reference": {"metrics": {"latency_ms": {"mean": 9.45}, "size_mb": 90.9}},
        "seconds": {"total": 480.0},
        "budget": {"build_minutes": 8.0},
        "versions": {"torch": "2"},
    }
    found = {"chosen": {"size_mb": 1.0}, "reference": {"size_mb": 9.0}, "comparison": comparison(5, 0.5, 1.0)}
    monkeypatch.setattr(bench_compress, "ROOT", tmp_path)
    monkeypatch.setattr(bench_compress.lighten, "build", build)
    monkeypatch.setattr(bench_compress, "read", lambda out: result)
    monkeypatch.setattr(bench_compress, "gather", lambda **options: found)
    now = {"reference": {"latency_ms": {"mean": 9.9}}}  # a slower minute than that of the build
    monkeypatch.setattr(bench_compress, "costs", lambda folders, target, **options: now)
    monkeypatch.setattr(bench_compress, "finish", lambda name, numbers, record: written.append(numbers))
    return SimpleNamespace(asked=asked, written=written)


def test_each_goal_has_a_build_that_aims_at_it(builds, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench_compress.py"])
    bench_compress.main()
    aims = {name: changes for name, changes in builds.asked if name != "reviews"}
    assert ("reviews", []) in builds.asked and list(aims) == ["reviews-product", "reviews-fastest", "reviews-smallest"]
    assert "budget.latency_ms=1.0000" in aims["reviews-product"]
    assert "budget.latency_ms=0.4500" in aims["reviews-fastest"]
    assert "budget.size_mb=6.0000" in aims["reviews-smallest"]
    (numbers,) = builds.written
    assert numbers["speedup_batch1"] == 5 and numbers["parts"]["product"]["verdict"] == "missed"
    assert numbers["parts"]["first step"]["verdict"] == "met"
    for one in (numbers, *numbers["parts"].values()):
        assert one["built_in"]["versions"] == {"torch": "2"} and len(one["built_in"]["date"]) == 10
    assert "product: 9 times as fast at no more than 1 points: missed" in capsys.readouterr().out


def test_one_build_alone_leaves_the_others_as_they_were_recorded(builds, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bench_compress.py", "--builds", "product"])
    bench_compress.main()
    (numbers,) = builds.written
    assert [name for name, _ in builds.asked] == ["reviews", "reviews-product"]
    assert set(numbers) == {"data", "parts"} and list(numbers["parts"]) == ["product"]


def test_the_goals_builds_can_have_another_clock_in_folders_of_their_own(builds, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bench_compress.py", "--builds", "example", "product", "--minutes", "30"])
    bench_compress.main()
    assert [name for name, _ in builds.asked] == ["reviews", "reviews", "reviews-product-30"]
    (_, example), _, (_, product) = builds.asked
    assert example == [] and product[-1] == "budget.build_minutes=30"
    assert builds.written[0]["parts"]["product"]["build_minutes"] == 8.0, "what the build itself says"

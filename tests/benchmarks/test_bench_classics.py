"""What the benchmark of the usual data sets asks for, counts and says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import bench_classics
from bench_classics import asked, measured, parameters_of
from lighten.recipe import parse_recipe


def test_quality_is_what_is_asked_for() -> None:
    for task in ("reviews", "r8", "r52", "20 newsgroups"):
        recipe = parse_recipe(asked(task, 3, 30.0))
        assert recipe.objective == "quality" and recipe.seed == 3
        assert (recipe.budget.size_mb, recipe.budget.build_minutes, recipe.budget.quality) == (88.0, 30.0, None)


def test_every_number_counts(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    save_file({"a": np.zeros((3, 4)), "b": np.zeros(5)}, tmp_path / "model.safetensors")
    save_file({"c": np.zeros(1)}, tmp_path / "linear.safetensors")
    assert parameters_of(tmp_path) == 18


@pytest.mark.parametrize(
    ("accuracy", "seconds", "count", "said"),
    [
        (97.9, 1700.0, 5, "met"),
        (97.7, 1700.0, 5, "missed"),
        (97.9, 1900.0, 5, "missed"),
        (97.9, 1.0, 22_000_001, "missed"),
    ],
)
def test_a_goal_is_met_by_accuracy_time_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accuracy: float, seconds: float, count: int, said: str
) -> None:
    quality = {"value": accuracy, "ci95": [0, 1], "n": 9}
    result: dict[str, Any] = {
        "chosen": {"name": "it", "metrics": {"quality": quality}},
        "reference": {"metrics": {"quality": quality}},
        "selection": {"quality_validation": 1.0},
        "seconds": {"total": seconds},
    }
    monkeypatch.setattr(bench_classics, "RUNS", tmp_path)
    monkeypatch.setattr(bench_classics.lighten, "build", lambda recipe, out: None)
    monkeypatch.setattr(bench_classics, "read", lambda out: result)
    monkeypatch.setattr(bench_classics, "parameters_of", lambda folder: count)
    assert measured("r8", 0, 30.0)["verdict"] == said
    assert "verdict" not in measured("reviews", 0, 30.0)

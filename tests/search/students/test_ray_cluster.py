"""Ray itself, where it is installed: two students of a build trained as its tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.search.students.test_trainings import BUDGET, SEARCH, Listener, measured

import lighten


@pytest.mark.slow
def test_students_are_trained_on_a_cluster(recipe: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    # A floor that no student surely holds, so that both are trained.
    asked = recipe(budget={**BUDGET, "quality": 100}, search={**SEARCH, "executor": "ray"})
    listener = Listener()
    try:
        result = lighten.build(asked, tmp_path / "run", workers=2, progress=listener).to_dict()
        assert ray.is_initialized()
    finally:
        ray.shutdown()
    assert "2 students on Ray" in listener.stages
    assert not any("ended:" in note for note in listener.notes)
    assert measured(result) == ["1 layer, fp32", "1 layer, ffn 64, fp32"]

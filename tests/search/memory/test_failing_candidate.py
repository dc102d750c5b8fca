"""A candidate that fails: the rest is delivered, and the same command tries it once more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.helpers.search_run import Notes

import lighten
from lighten.errors import BuildError
from lighten.pipeline.result import result_json_schema
from lighten.search import ladder
from lighten.search.memory import retry

Make = Callable[..., dict[str, Any]]
SEARCH = {"candidates": 1, "epochs": 1, "reference_epochs": 1, "rungs": ["linear", "student"], "layers": [1]}
BUDGET = {"latency_ms": 50, "build_minutes": 2}


def build(recipe: Make, out: Path) -> tuple[dict[str, Any], str]:
    notes = Notes()
    lighten.build(recipe(budget=BUDGET, search=SEARCH), out, progress=notes)
    result = json.loads((out / "result.json").read_text())
    jsonschema.validate(result, result_json_schema())
    return result, "\n".join(notes.said)


def linear_of(result: dict[str, Any]) -> dict[str, Any]:
    (found,) = [candidate for candidate in result["candidates"] if candidate["rung"] == "linear"]
    return dict(found)


@pytest.mark.slow
def test_the_rest_is_delivered_and_the_same_command_tries_once_more(
    recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, tried = tmp_path / "run", []

    def fail(run: Any) -> None:
        tried.append(1)
        raise BuildError("the solver did not converge")

    with monkeypatch.context() as patch:
        patch.setattr(ladder, "fit_linear", fail)
        first, said = build(recipe, out)
        assert linear_of(first)["status"] == "failed" and linear_of(first)["error"] == "the solver did not converge"
        assert "TF-IDF + linear failed: the solver did not converge" in said
        assert first["verdict"] == "fits" and first["chosen"]["rung"] in ("student", "reference")
        second, said = build(recipe, out)
        assert "may be tried once more" in said and len(tried) == 2
        assert linear_of(second)["status"] == "failed"
        before = (out / "result.json").read_bytes()
        _, said = build(recipe, out)
        assert "answered from its journal" in said and len(tried) == 2
        assert (out / "result.json").read_bytes() == before
    monkeypatch.setattr(retry, "environment", lambda: "another machine")  # it has chances again there
    third, said = build(recipe, out)
    assert "may be tried once more" in said
    assert linear_of(third)["status"] == "measured" and "error" not in linear_of(third)

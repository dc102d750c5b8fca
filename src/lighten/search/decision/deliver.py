"""Puts the chosen model and the result where the user finds them."""

from __future__ import annotations

from typing import Any

from lighten.pipeline import write_json
from lighten.search.candidate import Candidate
from lighten.search.run import Run
from lighten.workshop.finished import deliver_model


def deliver(run: Run, chosen: Candidate, result: dict[str, Any], predictions: dict[str, list[int]]) -> None:
    """Write ``model/``, ``predictions.json`` and, last, ``result.json``; each atomically."""
    assert chosen.folder is not None
    deliver_model(chosen.folder, run.out)
    write_json(run.out / "predictions.json", {"labels": run.labels, **predictions})
    write_json(run.out / "result.json", result)

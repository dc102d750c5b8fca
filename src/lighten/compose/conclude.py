"""Puts the result.json of a compression together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lighten.compose.kind import Kind
from lighten.compose.plan import Plan
from lighten.compose.stages import Stage
from lighten.measure.machine import describe
from lighten.pipeline import step_to_dict
from lighten.pipeline.artifact import versions
from lighten.pipeline.compression_result import KIND
from lighten.workshop.limits import all_limits, binding


def row_of(stage: Stage, quality: dict[str, Any], costs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of result.json for the model after one step."""
    return {
        "step": stage.name,
        "config": step_to_dict(stage.steps[-1]) if stage.steps else None,
        "seconds": round(stage.seconds, 2),
        "quality": quality,
        **costs,
        "details": stage.details,
        "note": stage.note,
    }


def conclude(
    kind: Kind,
    plan: Plan,
    rows: Sequence[Mapping[str, Any]],
    proof: Mapping[str, Any],
    *,
    control: Mapping[str, Any] | None,
    folders: Mapping[str, Path],
    command: str,
) -> dict[str, Any]:
    """Return the content of result.json.

    Args:
        kind: the task.
        plan: what was done.
        rows: from `row_of`, the reference first.
        proof: from the sealed test.
        control: ``stage``, ``quality`` and ``difference`` of the model without distillation, where it was made.
        folders: of the models and the data, in the run folder.
        command: that reproduces it.
    """
    work, recipe = kind.work, kind.work.recipe
    limits = all_limits(recipe.budget, proof["chosen"])
    return {
        "schema": 1,
        "kind": KIND,
        "name": recipe.name or "compress",
        "task": recipe.task,
        "model": recipe.model,
        "plan": plan.short,
        "sentence": f"{plan.short.replace(',', ', ')}: {kind.outcome(proof)}.",
        "target": recipe.target.model_dump(),
        "steps": [dict(row) for row in rows],
        "reference": proof["reference"],
        "chosen": proof["chosen"],
        "comparison": proof["comparison"],
        "control": None if control is None else _control(control),
        "limits": [limit.to_dict() for limit in limits],
        "missed_limit": binding(limits),
        "folders": {name: path.relative_to(work.out).as_posix() for name, path in folders.items()},
        "data": work.table.metrics,
        "training": work.trainings,
        "seconds": {
            "total": round(work.clock.spent, 2),
            "by_stage": {name: round(spent, 2) for name, spent in work.stages.items()},
        },
        "machine": describe(),
        "versions": versions(),
        "seed": recipe.seed,
        "recipe": recipe.resolved(),
        "reproduce": command,
    }


def _control(control: Mapping[str, Any]) -> dict[str, Any]:
    stage: Stage = control["stage"]
    return {
        "steps": [step_to_dict(step) for step in stage.steps],
        "seconds": round(stage.seconds, 2),
        "quality": control["quality"],
        "difference": control["difference"],
    }

"""Puts result.json together: verdict, binding limit, the sentence that says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lighten.measure.machine import describe
from lighten.pipeline.artifact import versions
from lighten.recipe import Budget
from lighten.search.candidate import Candidate
from lighten.search.decision.weighing import Weighing
from lighten.search.run import Run
from lighten.workshop.limits import Limit, all_limits, binding, check, class_words, value_of

WORDS = {
    "latency_ms": "latency",
    "size_mb": "size",
    "peak_memory_mb": "peak memory",
    "throughput_per_s": "throughput",
    "quality": "quality",
    "build_minutes": "build time",
}
_TOLERANCE = 1.05
"""The clock is honoured within 5%."""


def limits_of(run: Run, metrics: dict[str, Any], seconds: float) -> list[Limit]:
    """Return every limit of the budget compared with the final measurements; the clock's only where it rules."""
    limits = all_limits(run.recipe.budget, metrics)
    if run.by_clock:
        allowed, used = run.recipe.budget.build_minutes, seconds / 60
        limit = check("build_minutes", allowed, round(used, 2))
        limits.append(Limit(limit.name, allowed, limit.value, used <= allowed * _TOLERANCE, limit.excess))
    return limits


def conclude(
    run: Run,
    *,
    reference: Candidate,
    chosen: Candidate,
    candidates: Sequence[Candidate],
    comparison: dict[str, Any],
    steps: list[dict[str, Any]],
    validation: dict[str, Any],
    seconds: float,
    command: str,
    weighing: Weighing,
) -> dict[str, Any]:
    """Return the content of result.json.

    Args:
        run: the build.
        reference: with its final metrics.
        chosen: with its final metrics.
        candidates: all that were considered, the reference left out.
        comparison: chosen against reference, from the proof.
        steps: what each step bought.
        validation: the chosen model's quality on validation, where it was selected.
        seconds: wall-clock of the whole build.
        command: that reproduces it.
        weighing: of all measured candidates, made before the proof.
    """
    limits = limits_of(run, chosen.metrics, seconds)
    bound = binding(limits)
    quality = chosen.metrics["quality"]
    return {
        "schema": 1,
        "name": run.recipe.name or "build",
        "verdict": "infeasible" if bound else "fits",
        "binding_limit": bound,
        "sentence": sentence(chosen, comparison, limits, run.recipe.budget),
        "objective": run.recipe.objective,
        "budget": run.recipe.budget.model_dump(),
        "target": run.recipe.target.model_dump(),
        "limits": [limit.to_dict() for limit in limits],
        "reference": reference.to_dict(),
        "chosen": chosen.to_dict(),
        "candidates": [candidate.to_dict() for candidate in candidates],
        "frontier": weighing.frontier,
        "dominated": weighing.dominated,
        "comparison": comparison,
        "folders": {
            "chosen": _inside(run, chosen),
            "reference": _inside(run, reference),
            "data": run.table.path.relative_to(run.out).as_posix(),
        },
        "steps": steps,
        "selection": {
            "split": "validation",
            "quality_validation": validation["value"],
            "quality_test": quality["value"],
            "delta_validation": validation["delta"],
            "delta_test": quality["delta"],
            "chance_of_floor": round(chosen.chance, 4),
            **weighing.selection,
        },
        "data": {**run.table.metrics, "long_texts": run.long_texts},
        "training": run.trainings,
        "seconds": {"total": round(seconds, 2), "by_stage": {k: round(v, 2) for k, v in run.stages.items()}},
        "estimates": run.estimates,
        "machine": describe(),
        "versions": versions(),
        "seed": run.recipe.seed,
        "recipe": run.recipe.model_dump(mode="json"),
        "reproduce": command,
    }


def _inside(run: Run, candidate: Candidate) -> str:
    """Return where in the run folder the candidate's model folder lies."""
    assert candidate.folder is not None
    return candidate.folder.relative_to(run.out).as_posix()


def sentence(chosen: Candidate, comparison: dict[str, Any], limits: Sequence[Limit], budget: Budget) -> str:
    """Return the verdict in one sentence."""
    metrics, lost, percentile = chosen.metrics, comparison["points_lost"], budget.latency_percentile
    low, high = comparison["points_lost_ci95"]
    against = f"{abs(lost):.1f} points {'below' if lost >= 0 else 'above'} the reference"
    known = "" if low > 0 or high < 0 else " (not a significant difference)"
    what = (
        f"{chosen.name}: {metrics['quality']['value']:.1f}% on the sealed test, {against}{known}, "
        f"{percentile} {value_of(metrics, 'latency_ms', percentile) or 0:.2f} ms, {metrics['size_mb']:.1f} MB, "
        f"{comparison['speedup_batch1']:.1f} times as fast at batch 1."
    )
    missed = [limit for limit in limits if not limit.met]
    if not missed:
        return f"Fits. {what}"
    worst = max(missed, key=lambda limit: limit.excess)
    wanted = f"{worst.limit:g}" if worst.name != "quality" or budget.quality is None else f"{budget.quality:g}"
    found = "not measured" if worst.value is None else f"{worst.value:.3g}"
    name = f"{percentile} latency" if worst.name == "latency_ms" else WORDS.get(worst.name) or class_words(worst.name)
    return f"Infeasible: {name} binds ({found}, the limit is {wanted}). Nearest miss: {what}"

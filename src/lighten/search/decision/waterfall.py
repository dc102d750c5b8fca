"""What each step of the chosen plan bought: the same model with one step more at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.export.random import write_random
from lighten.models.layout import Shape
from lighten.search.candidate import Candidate
from lighten.search.cost.shapes import REFERENCE, scratch_folder, time_folders
from lighten.search.run import Run
from lighten.search.standing import Reference, Standing
from lighten.search.students.making import buckets_of, export, judge, trimmed_tokenizer
from lighten.search.students.space import Point, encoder_of
from lighten.workshop.answers import validate

NGRAMS = "n-grams beside it"


def steps_of(standing: Standing, reference: Reference, chosen: Candidate) -> list[dict[str, Any]]:
    """Return what each step of the chosen plan bought; empty where it is no student of the space."""
    point = standing.points.get(chosen.name)
    if point is None or chosen.rung != "student":
        return []
    qualities: dict[str, float | None] = {REFERENCE: standing.validated[REFERENCE]}
    qualities[point.format] = standing.validated[chosen.name]
    if point.int8:
        qualities["fp32"] = _quality_in_fp32(standing, reference, point)
    return step_costs(standing.run, point, qualities)


def _quality_in_fp32(standing: Standing, reference: Reference, point: Point) -> float:
    """Return the points on validation of the chosen student before quantisation (its checkpoint is at hand)."""
    run, name = standing.run, Point(point.student, "none").name(standing.run.full)
    if name not in standing.validated:
        trained = standing.checkpoints[point.student]
        model, plan = export(run, *trained, "none", ngrams=run.recipe.search.ngrams)
        candidate = Candidate(name, "student", plan)
        judge(run, candidate, validate(run, model), reference.answers)
        standing.validated[name] = candidate.metrics["quality"]["value"]
    return standing.validated[name]


def step_costs(run: Run, point: Point, qualities: Mapping[str, float | None]) -> list[dict[str, Any]]:
    """Return a row per step: latency (p95), size, and quality on validation where a model of that kind was measured.

    Cost does not depend on weights: the stages between reference and result are exported with random ones and
    timed side by side.

    Args:
        run: the build.
        point: the chosen student and precision.
        qualities: points on validation under ``reference``, ``fp32`` and the point's format (the student's exports).
    """
    student, full = point.student, run.full
    rows: list[tuple[str, Shape, str, Path, float | None]] = [
        ("reference", full, "fp32", run.model, qualities.get("reference"))
    ]
    shape = full
    if student.layers < full.layers:
        shape = shape.with_(layers=student.layers)
        rows.append((f"layers {full.layers} to {student.layers}", shape, "fp32", run.model, None))
    if student.intermediate < full.intermediate:
        shape = shape.with_(intermediate=student.intermediate)
        name = f"feed-forward width {full.intermediate} to {student.intermediate}"
        rows.append((name, shape, "fp32", run.model, None))
    if student.hidden not in (None, full.hidden):
        shape = encoder_of(student, full)
        rows.append((f"hidden width {full.hidden} to {student.hidden}", shape, "fp32", run.model, None))
    tokenizer, pieces = trimmed_tokenizer(run, student.vocabulary)
    if pieces < full.vocabulary:
        shape = shape.with_(vocabulary=pieces)
        rows.append((f"vocabulary {full.vocabulary} to {pieces}", shape, "fp32", tokenizer, None))
    name, old_shape, form, tokens, _ = rows[-1]
    buckets = buckets_of(run, pieces)
    alone = None if buckets else qualities.get("fp32")
    if len(rows) > 1 or not buckets:
        rows[-1] = (name if len(rows) == 1 else f"{name}; distilled", old_shape, form, tokens, alone)
    if buckets:
        rows.append((NGRAMS, shape, "fp32", tokenizer, qualities.get("fp32")))
    if point.int8:
        rows.append((point.format, shape, point.format, tokenizer, qualities.get(point.format)))
    with scratch_folder(run, "steps.") as scratch:
        folders = {}
        for number, (name, shape, form, tokens, _) in enumerate(rows):
            folders[name] = scratch / str(number)
            folders[name].mkdir()
            beside = buckets if NGRAMS in folders else 0  # from its row on
            write_random(folders[name], run.config, shape, form, tokens, run.serving, buckets=beside)
        timed = time_folders(run, folders, seconds=0.4 * len(rows))
    return [
        {
            "step": name,
            "latency_ms": timed[name]["latency_ms"]["p95"],
            "size_mb": timed[name]["size_mb"],
            "quality": quality,
        }
        for name, _, _, _, quality in rows
    ]

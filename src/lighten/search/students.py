"""Trains and exports students of the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lighten.compress.step import ModelStep
from lighten.compress.steps import Distil, Quantise
from lighten.compress.teacher import cache_teacher
from lighten.measure.examples import number_groups
from lighten.measure.quality import compare
from lighten.models.pieces import choose_pieces, write_trimmed
from lighten.pipeline import Artifact, step_to_dict
from lighten.pipeline.files import read_json, write_json
from lighten.runtime import load
from lighten.search.candidate import Candidate
from lighten.search.limits import quality_limit
from lighten.search.run import Run
from lighten.search.space import Student, cut_steps


def trimmed_tokenizer(run: Run, vocabulary: Any) -> tuple[Path, int]:
    """Return the folder of the tokenizer a vocabulary asks for, and its number of pieces."""
    if vocabulary == "full":
        return run.model, run.full.vocabulary

    def work(target: Path) -> dict[str, Any]:
        kept = choose_pieces(run.model, run.context("vocabulary").encode(run.model, run.train.texts), vocabulary)
        write_trimmed(run.model, target, kept)
        return {"pieces": len(kept)}

    step = {"vocabulary": vocabulary, "max_tokens": run.max_tokens}
    artifact = run.workspace.produce("tokenizer", step, [run.model_key, run.table], work)
    return artifact.path, int(artifact.metrics["pieces"])


def teacher_answers(run: Run, reference: Artifact) -> Artifact:
    """Return the reference's answers to the training texts, computed once."""
    context = run.context("teacher's answers")

    def work(target: Path) -> dict[str, Any]:
        return cache_teacher(reference.path, target, context)

    return run.workspace.produce("teacher", {"max_tokens": run.max_tokens}, [reference, run.table], work)


def train_student(
    run: Run, student: Student, reference: Artifact, teacher: Artifact | None, distil: Distil, seconds: float | None
) -> tuple[Artifact, list[ModelStep]]:
    """Cut a student out of the reference and distil it; returns its checkpoint and the steps that made it.

    A student as large as the reference needs no distillation: it is the reference with another vocabulary.
    """
    steps: list[ModelStep] = cut_steps(student, run.full)
    artifact = reference
    name = student.name(run.full)
    for step in steps:
        artifact = run.apply(step, artifact, name=name)
    if student.layers < run.full.layers or student.intermediate < run.full.intermediate:
        steps.append(distil)
        artifact = run.apply(distil, artifact, name=name, teacher=teacher, seconds=seconds)
    return artifact, steps


def export(
    run: Run, checkpoint: Artifact, steps: list[ModelStep], quantise: str
) -> tuple[Artifact, list[dict[str, Any]]]:
    """Export a checkpoint in a precision; returns the model folder and the whole plan as dicts."""
    if quantise == "int8":
        steps = [*steps, Quantise()]
        checkpoint = run.apply(steps[-1], checkpoint, name="int8")
    plan = [step_to_dict(step) for step in steps]
    return run.bundle(checkpoint, plan), plan


def validate(run: Run, model: Artifact) -> list[int]:
    """Return the exported model's answers (label indices) to the validation texts, at the target's batch."""

    def work(target: Path) -> dict[str, Any]:
        classifier = load(model.path, threads=run.recipe.target.threads)
        predicted: list[int] = []
        texts = run.validation.texts
        with run.progress.stage("validation of the exported model", total=len(texts)) as stage:
            for start in range(0, len(texts), 200):
                logits = classifier.logits(texts[start : start + 200], max_batch=run.recipe.target.batch)
                predicted += logits.argmax(1).tolist()
                stage.update(len(predicted))
                run.clock.tick()
        write_json(target / "predicted.json", predicted)
        return {}

    step = {"threads": run.recipe.target.threads, "batch": run.recipe.target.batch}
    answers = run.workspace.produce("answers", step, [model, run.table], work)
    return [int(i) for i in read_json(answers.path / "predicted.json")]


def judge(run: Run, candidate: Candidate, predicted: list[int], reference: list[int]) -> None:
    """Fill in a candidate's quality on validation and the chance that it holds the floor."""
    truth = np.array(run.validation.labels)
    names = run.validation.groups
    compared = compare(
        truth,
        np.array(reference),
        np.array(predicted),
        len(run.labels),
        seed=run.recipe.seed,
        groups=None if names is None else number_groups(names),
    )
    own, difference = compared.candidate, compared.difference
    candidate.metrics["quality"] = {
        "metric": "accuracy",
        "value": round(own.value, 4),
        "ci95": [round(own.low, 4), round(own.high, 4)],
        "delta": round(difference.value, 4),
        "delta_ci95": [round(difference.low, 4), round(difference.high, 4)],
        "split": "validation",
        "n": len(truth),
    }
    floor = run.recipe.budget.quality
    if floor is None:
        candidate.chance = 1.0
    elif floor < 0:
        candidate.chance = compared.probability_at_least(floor)
    else:
        limit = quality_limit(run.recipe.budget, candidate.metrics["quality"])
        candidate.chance = 1.0 if limit is not None and limit.met else 0.0

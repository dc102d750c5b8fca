"""What models say: the teacher to the training texts, exported models to the validation texts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.compress.teacher import cache_teacher
from lighten.measure.examples import number_groups
from lighten.measure.per_class import chance_of_floors, class_recalls
from lighten.measure.quality import Comparison, compare
from lighten.pipeline import Artifact
from lighten.runtime import load
from lighten.workshop.work import COPIES, STEP_SECONDS, Work


def teacher_answers(work: Work, reference: Artifact, copies: int = 0) -> Artifact:
    """Return the reference's answers to the training texts, computed once; its metrics tell how long that took.

    Args:
        work: in progress.
        reference: the teacher.
        copies: perturbed copies of each training text that it answers besides; who learns from the answers gets them.
    """
    step, parents = {"max_tokens": work.max_tokens}, [reference, work.table]
    if copies:
        step[COPIES] = copies
    key = work.workspace.key("teacher", step, parents)
    # A pass that was killed goes on with the part it was in.
    context = replace(work.context("teacher's answers", checkpoints=work.workspace.checkpoints(key)), copies=copies)

    def cache(target: Path) -> dict[str, Any]:
        started = time.monotonic()
        metrics = cache_teacher(reference.path, target, context)
        return {**metrics, STEP_SECONDS: round(time.monotonic() - started, 3)}

    return work.workspace.produce("teacher", step, parents, cache)


def validate(work: Work, model: Artifact) -> list[int]:
    """Return the exported model's answers (label indices) to the validation texts, at the target's batch."""
    return [int(place) for place in validation_logits(work, model).argmax(1)]


def validation_logits(work: Work, model: Artifact) -> npt.NDArray[np.float32]:
    """Return the exported model's logits of the validation texts, at the target's batch, [texts, classes]."""

    def ask(target: Path) -> dict[str, Any]:
        classifier = load(model.path, threads=work.recipe.target.threads)
        parts: list[npt.NDArray[np.float32]] = []
        texts = work.validation.texts
        with work.progress.stage("validation of the exported model", total=len(texts)) as stage:
            for start in range(0, len(texts), 200):
                parts.append(classifier.logits(texts[start : start + 200], max_batch=work.recipe.target.batch))
                stage.update(start + len(parts[-1]))
                work.clock.tick()
        np.save(target / "logits.npy", np.concatenate(parts), allow_pickle=False)
        return {}

    step = {"threads": work.recipe.target.threads, "batch": work.recipe.target.batch, "kept": "logits"}
    answers = work.workspace.produce("answers", step, [model, work.table], ask)
    found: npt.NDArray[np.float32] = np.load(answers.path / "logits.npy", allow_pickle=False)
    return found


def quality_on_validation(
    work: Work, predicted: Sequence[int], reference: Sequence[int]
) -> tuple[dict[str, Any], Comparison]:
    """Return the ``quality`` object of result.json for answers beside the reference's, and the comparison itself."""
    truth = np.array(work.validation.labels)
    names = work.validation.groups
    compared = compare(
        truth,
        np.array(reference),
        np.array(predicted),
        len(work.labels),
        seed=work.recipe.seed,
        groups=None if names is None else number_groups(names),
    )
    own, difference = compared.candidate, compared.difference
    quality = {
        "metric": "accuracy",
        "value": round(own.value, 4),
        "ci95": [round(own.low, 4), round(own.high, 4)],
        "delta": round(difference.value, 4),
        "delta_ci95": [round(difference.low, 4), round(difference.high, 4)],
        "split": "validation",
        "n": len(truth),
    }
    if work.recipe.budget.quality_per_class is not None:
        quality["per_class"] = class_recalls(truth, np.array(reference), np.array(predicted), work.labels)
    return quality, compared


def class_floors(work: Work) -> dict[int, float]:
    """Return the floors under the recall of classes by label index; empty without any."""
    floors = work.recipe.budget.quality_per_class
    if floors is None:
        return {}
    by_label = floors if isinstance(floors, dict) else dict.fromkeys(work.labels, floors)
    return {work.labels.index(label): floor for label, floor in by_label.items()}


def chance_of_class_floors(work: Work, predicted: Sequence[int], reference: Sequence[int]) -> float:
    """Return the chance, by the bootstrap on validation, that the floors of all classes hold; 1 without floors."""
    floors = class_floors(work)
    if not floors:
        return 1.0
    truth, names = np.array(work.validation.labels), work.validation.groups
    groups = None if names is None else number_groups(names)
    said = np.array(reference), np.array(predicted)
    return chance_of_floors(truth, *said, floors, work.recipe.seed, groups=groups)

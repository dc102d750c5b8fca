"""What a teacher says about the training texts, computed once and kept on disk."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from lighten.compress.answers import FILE, TeacherAnswers, read_teacher, text_fingerprint
from lighten.compress.features import Side, Wanted, bytes_per_token, side_of
from lighten.compress.fingerprint import fingerprint_of_weights
from lighten.compress.fit import padding_id
from lighten.compress.labels import all_texts, hard_labels
from lighten.compress.step import Context
from lighten.compress.teacher_pass import Collected, collect
from lighten.errors import InputError
from lighten.models.checkpoint import read_config
from lighten.models.load import load_classifier
from lighten.pipeline.step import digest
from lighten.train import precision
from lighten.train.objectives.soft_labels import UNLABELLED, average_answers

STATES_LIMIT = 2_000_000_000
"""Bytes of inner features to keep at most; beyond it the logits alone are kept."""
LAST = Wanted(states=(-1,))
"""What `cache_teacher` keeps beside the logits: the last hidden states."""


def cache_teacher(
    model: Path | Sequence[Path],
    target: Path,
    context: Context,
    *,
    wanted: Wanted = LAST,
    weights: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Run the teacher over the training texts, then the unlabelled ones; write logits, and features in half precision.

    The file appears whole or not at all. With ``context.checkpoints`` a pass that was killed goes on where it was.

    Args:
        model: the teacher's checkpoint; of several the answers' probabilities are averaged, and the features are the
            first one's.
        target: existing folder for ``teacher.safetensors``: ``logits`` [n, classes], ``starts`` [n + 1], ``states``
            [all tokens, hidden] of the last layer, ``states.LAYER`` of others, ``query.LAYER``, ``key.LAYER`` and
            ``value.LAYER``.
        context: the training texts.
        wanted: which features to keep.
        weights: of several teachers.

    Raises:
        InputError: several teachers whose answers do not go together, or a layer that the teacher does not have.
    """
    folders = [model] if isinstance(model, Path) else list(model)
    if not folders:
        raise InputError("there is no teacher", "teachers")
    texts = all_texts(context)
    labels = hard_labels(context)
    answers = []
    first: Collected | None = None
    for number, folder in enumerate(folders):
        found = _pass(folder, context, texts, wanted if number == 0 else Wanted(), number)
        answers.append(found.logits)
        first = first or found
    assert first is not None
    logits = average_answers(answers, weights, multi_label=labels.dim() == 2)
    teachers = [fingerprint_of_weights(folder) for folder in folders]
    shares = None if weights is None else list(weights)
    note = {**first.note, **text_fingerprint(context), "teachers": teachers, "shares": shares}
    tensors = {"logits": logits, "starts": first.starts, **first.tensors}
    _save(tensors, target / FILE, note)
    metrics: dict[str, Any] = {
        "texts": len(texts),
        "tokens": int(first.starts[-1]),
        "states": "states" in tensors,
        "train_accuracy": round(_agreement(logits, labels), 2),
    }
    if wanted.qkv:
        metrics["qkv"] = first.kept
    if len(folders) > 1:
        metrics["teachers"] = len(folders)
    return metrics


def _pass(folder: Path, context: Context, texts: list[str], wanted: Wanted, number: int) -> Collected:
    teacher = load_classifier(folder, context.labels, context.seed)
    encoded = context.encode(folder, texts)
    tokens = sum(len(ids) for ids in encoded)
    layers = wanted.numbered(teacher)
    if tokens * bytes_per_token(teacher, layers) > STATES_LIMIT:
        layers = Wanted()
    chosen = precision.choose(context.precision_for("auto"), teacher.config.hidden_size)
    parts = None if context.checkpoints is None else context.checkpoints / f"teacher-{number}"
    same = digest([fingerprint_of_weights(folder), text_fingerprint(context), layers.states, layers.qkv, chosen.name])
    with context.progress.stage("teacher's answers", total=tokens) as stage:
        return collect(teacher, encoded, padding_id(teacher), chosen, layers, stage, context.tick, parts, same)


def _agreement(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Percent of the labelled texts on which teacher and labels agree (of several labels: of the decisions)."""
    if labels.dim() == 2:
        known = labels[:, 0] != UNLABELLED
        right = ((logits > 0) == (labels > 0))[known]
    else:
        known = labels != UNLABELLED
        right = (logits.argmax(1) == labels)[known]
    return float(right.float().mean() * 100) if known.any() else 0.0


def _save(tensors: dict[str, torch.Tensor], file: Path, note: dict[str, Any]) -> None:
    half = file.with_name(f".{file.name}.part")
    try:
        save_file(tensors, half, {"lighten": json.dumps(note, sort_keys=True)})
        os.replace(half, file)
    finally:
        half.unlink(missing_ok=True)


def answers_of(context: Context, wanted: Callable[[Side], Wanted]) -> TeacherAnswers:
    """Return the teacher's answers: those cached, or computed now where the teacher itself is at hand.

    Args:
        context: names the cache, the teacher's checkpoint, or both.
        wanted: says which features are needed of a teacher.

    Raises:
        InputError: there is no teacher, or the cache does not fit.
    """
    if context.teacher is not None:
        return read_teacher(context.teacher, context, context.teacher_model)
    if context.teacher_model is None:
        raise InputError("distillation needs a teacher's answers; put it after the reference", "step 'distil'")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        side = side_of(read_config(context.teacher_model))
        cache_teacher(context.teacher_model, Path(folder), context, wanted=wanted(side))
        return read_teacher(Path(folder), context)

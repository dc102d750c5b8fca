"""What a teacher says about the training texts, computed once and kept on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lighten.compress.fit import padding_id
from lighten.compress.step import Context
from lighten.models.load import load_classifier
from lighten.train import precision
from lighten.train.infer import Inference, infer

FILE = "teacher.safetensors"
STATES_LIMIT = 2_000_000_000
"""Bytes of hidden states to keep at most; beyond it the logits alone are kept."""


def cache_teacher(model: Path, target: Path, context: Context) -> dict[str, Any]:
    """Run the teacher over the training texts; write logits, and hidden states in half precision.

    Args:
        model: the teacher's checkpoint.
        target: existing folder for ``teacher.safetensors``: ``logits`` [n, classes], ``states`` [all tokens,
            hidden] and ``starts`` [n + 1].
        context: the training texts.
    """
    teacher = load_classifier(model, context.labels, context.seed)
    encoded = context.encode(model, context.train.texts)
    tokens = sum(len(ids) for ids in encoded)
    states = 2 * tokens * teacher.config.hidden_size <= STATES_LIMIT
    chosen = precision.choose(context.precision_for("auto"), teacher.config.hidden_size)
    with context.progress.stage("teacher's answers", total=tokens) as stage:
        result = infer(teacher, encoded, padding_id(teacher), chosen, states=states, stage=stage, tick=context.tick)
    tensors = {"logits": result.logits, "starts": result.starts}
    if result.states is not None:
        tensors["states"] = result.states
    save_file(tensors, target / FILE)
    labels = torch.tensor(context.train.labels)
    agreement = float((result.logits.argmax(1) == labels).float().mean() * 100)
    return {"texts": len(encoded), "tokens": tokens, "states": states, "train_accuracy": round(agreement, 2)}


def read_teacher(folder: Path) -> Inference:
    """Read what `cache_teacher` wrote."""
    tensors = load_file(folder / FILE)
    return Inference(tensors["logits"], tensors.get("states"), tensors["starts"])

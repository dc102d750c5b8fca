"""Reads a teacher's cached answers, and makes sure that they are answers to these texts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from lighten.compress.fingerprint import fingerprint_of_texts, fingerprint_of_weights
from lighten.compress.labels import all_texts
from lighten.compress.step import Context
from lighten.errors import InputError
from lighten.train.infer import Inference
from lighten.train.objectives.capture import Qkv

FILE = "teacher.safetensors"


@dataclass(frozen=True)
class TeacherAnswers(Inference):
    """What `cache_teacher` wrote; `states` are those of the last layer.

    Attributes:
        layer_states: by layer (from 1; 0 are the embeddings) [all tokens, hidden], the last one among them.
        qkv: queries, keys and values by layer, each [all tokens, width].
        note: what it was computed from and with (fingerprints, ``layers``, ``heads``, ``hidden``).
    """

    layer_states: dict[int, torch.Tensor] = field(default_factory=dict)
    qkv: dict[int, Qkv] = field(default_factory=dict)
    note: dict[str, Any] = field(default_factory=dict)


def text_fingerprint(context: Context) -> dict[str, Any]:
    """Return what stands for the texts that a teacher answered, and how they were cut."""
    return {"texts": fingerprint_of_texts(all_texts(context)), "max_tokens": context.max_tokens}


def read_teacher(folder: Path, context: Context | None = None, teacher: Path | None = None) -> TeacherAnswers:
    """Read what `cache_teacher` wrote.

    Args:
        folder: where it wrote.
        context: given, the answers must be to its texts, in its classes.
        teacher: given, the checkpoint that must have answered, as the first of several.

    Raises:
        InputError: it is damaged, or answers other texts, or another teacher's.
    """
    file = folder / FILE
    try:
        with safe_open(file, framework="pt") as opened:
            note = json.loads((opened.metadata() or {}).get("lighten", "{}"))
        tensors = load_file(file)
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"the teacher's answers cannot be read: {error}", str(file)) from None
    states: dict[int, torch.Tensor] = {}
    parts: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        kind, _, layer = name.partition(".")
        if kind == "states":
            states[int(layer or note.get("layers", 0))] = value
        elif layer:
            parts.setdefault(int(layer), {})[kind] = value
    qkv = {layer: (each["query"], each["key"], each["value"]) for layer, each in sorted(parts.items())}
    answers = TeacherAnswers(
        tensors["logits"], tensors.get("states"), tensors["starts"], layer_states=states, qkv=qkv, note=note
    )
    if context is not None:
        _check(answers, context, teacher, folder)
    return answers


def _check(answers: TeacherAnswers, context: Context, teacher: Path | None, folder: Path) -> None:
    wanted, found = (len(all_texts(context)), len(context.labels)), tuple(answers.logits.shape)
    if found != wanted:
        raise InputError(
            f"the teacher answered {found[0]} texts in {found[1]} classes, but there are {wanted[0]} in {wanted[1]}",
            str(folder),
        )
    if "texts" not in answers.note:
        raise InputError("it does not say which texts were answered; cache the teacher's answers anew", str(folder))
    for key, value in text_fingerprint(context).items():
        if answers.note.get(key) != value:
            what = f"texts cut to {answers.note.get(key)} tokens" if key == "max_tokens" else "other texts"
            raise InputError(f"the teacher answered {what}, not these; cache its answers anew", str(folder))
    if teacher is not None and answers.note["teachers"][0] != fingerprint_of_weights(teacher):
        raise InputError(f"another teacher than {teacher} answered; cache its answers anew", str(folder))

"""Carries files from one checkpoint folder to the next."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from lighten.errors import InputError
from lighten.models.ngrams import FILE as NGRAMS
from lighten.pipeline.artifact import MANIFEST
from lighten.pipeline.files import read_json, write_json

FROZEN = "frozen.safetensors"
"""Head of a frozen encoder, written by the step ``frozen``."""
QUANTISE = "quantise.json"
"""The precision wanted of the graph, written by the step ``quantise``."""
SPARSE = "sparse.json"
"""Says that zeros are meant to stay zero in later trainings, written by the step ``sparsify``."""
GENERATION = "generation_config.json"
"""Of a language model: which tokens end a text."""
TEMPLATE = "chat_template.jinja"


def copy_checkpoint(source: Path, target: Path) -> None:
    """Copy every file but the manifest.

    Files of an artifact become hard links where the file system allows, as artifacts never change; a model
    that somebody else may edit is copied.
    """
    ours = (source / MANIFEST).is_file()
    for file in sorted(source.iterdir()):
        if file.is_file() and file.name != MANIFEST:
            _carry(file, target / file.name, link=ours)


def carry_notes(source: Path, target: Path, *, head: bool) -> None:
    """Copy what earlier steps put beside the weights, with `head` the head of a frozen encoder too.

    Without it a plan that cuts a model after ``frozen`` or ``quantise`` would silently lose what they did. Of a
    language model, how messages are written and which tokens end a text are copied too, where the target has none.

    Raises:
        InputError: the model has an n-gram part, which fits no other model.
    """
    refuse_ngrams(source)
    for name in (GENERATION, TEMPLATE):
        if (source / name).is_file() and not (target / name).exists():
            _carry(source / name, target / name, link=False)
    for name in (QUANTISE, SPARSE, FROZEN) if head else (QUANTISE, SPARSE):
        if (source / name).is_file():
            _carry(source / name, target / name, link=False)


def refuse_ngrams(source: Path) -> None:
    """Refuse a step's model whose n-gram part was fitted to its logits and tokens: it would spoil another model's.

    Of a model that the user gives, which is trained anew in any case, it is left behind.

    Raises:
        InputError: it has one.
    """
    if (source / NGRAMS).is_file() and (source / MANIFEST).is_file():
        raise InputError(
            f"{NGRAMS} was fitted to this very model; put 'ngrams' after all steps but 'quantise', or remove the file",
            str(source),
        )


def renumber_ends(source: Path, target: Path, kept: Sequence[int]) -> None:
    """Write a language model's generation_config.json with the new ids of its tokens, the place of each in `kept`."""
    if not (source / GENERATION).is_file():
        return
    number = {old: new for new, old in enumerate(kept)}
    content = read_json(source / GENERATION)
    for key, value in content.items():
        if key.endswith("_token_id") and isinstance(value, int):
            content[key] = number.get(value)
        elif key.endswith("_token_id") and isinstance(value, list):
            content[key] = [number[item] for item in value if item in number]
    write_json(target / GENERATION, content)


def _carry(file: Path, target: Path, link: bool) -> None:
    if link:
        try:
            os.link(file.resolve(), target)
            return
        except OSError:
            pass
    shutil.copyfile(file, target)

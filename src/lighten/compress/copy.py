"""Carries files from one checkpoint folder to the next."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lighten.pipeline.artifact import MANIFEST

FROZEN = "frozen.safetensors"
"""Head of a frozen encoder, written by the step ``frozen``."""
QUANTISE = "quantise.json"
"""The precision wanted of the graph, written by the step ``quantise``."""


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
    """Copy what earlier steps put beside the weights: the precision wanted and, with `head`, a frozen encoder's head.

    Without it a plan that cuts a model after ``frozen`` or ``quantise`` would silently lose what they did.
    """
    for name in (QUANTISE, FROZEN) if head else (QUANTISE,):
        if (source / name).is_file():
            _carry(source / name, target / name, link=False)


def _carry(file: Path, target: Path, link: bool) -> None:
    if link:
        try:
            os.link(file.resolve(), target)
            return
        except OSError:
            pass
    shutil.copyfile(file, target)

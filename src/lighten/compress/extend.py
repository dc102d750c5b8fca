"""Longer inputs: tiled positions and attention within a window."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from lighten.compress.copy import carry_notes
from lighten.compress.step import Context, ModelStep
from lighten.errors import InputError
from lighten.models.checkpoint import check_model
from lighten.models.extend import write_extended
from lighten.models.extension import Extension, check_extension
from lighten.pipeline.files import new_folder


class Extend(ModelStep):
    """Let the model take longer texts: its positions are tiled, its layers see a window and the first tokens.

    Attention becomes linear in the length of the text. A training after it (``finetune``, ``distil``) recovers what
    the change costs; see `lighten.models.extend`.
    """

    name: ClassVar[str] = "extend"
    short: ClassVar[str] = "tokens"

    tokens: int = Field(default=4096, ge=2)
    """Longest text, special tokens included."""
    window: int | None = Field(default=None, ge=1)
    """Tokens that a token sees on each side; 128, or what the model has already."""
    globals: int | None = Field(default=None, ge=0)
    """Tokens at the start that see all others and are seen by all; 1, none where the model was trained without."""
    layers: str | None = Field(default=None, pattern="^[LG]+$")
    """``L`` for a layer with a window, ``G`` for one with full attention, repeated over the depth: ``LLG``."""

    dilation: int | None = Field(default=None, ge=1)
    """A window takes every so manieth token, and reaches as many times as far; 1, or what the model has already."""
    random_blocks: int | None = Field(default=None, ge=0)
    """Blocks of keys, drawn at random, that a block of queries sees besides; none, or what the model has already."""

    def longest(self) -> int:
        """Return the tokens that the model takes afterwards."""
        return self.tokens

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the longer checkpoint."""
        wanted = Extension(self.tokens, self.window, self.globals, self.layers, self.dilation, self.random_blocks)
        return _extend(source, target, wanted)


def extend_folder(source: Path, target: Path, wanted: Extension) -> dict[str, Any]:
    """Extend the checkpoint in `source` into a folder that is not there yet, or empty; returns what was done.

    Raises:
        InputError: see `lighten.models.extend`, or `target` holds something; nothing was written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError("there is something here already; name another folder for the longer model", str(target))
    check_extension(check_model(source), wanted, str(source / "config.json"))
    with new_folder(target) as half:
        return _extend(source, half, wanted)


def _extend(source: Path, target: Path, wanted: Extension) -> dict[str, Any]:
    facts = write_extended(source, target, wanted)
    carry_notes(source, target, head=True)
    return facts

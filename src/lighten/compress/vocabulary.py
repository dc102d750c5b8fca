"""Vocabulary trimming: tokenizer and embedding table cut together to what the task uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from lighten.compress.copy import carry_notes
from lighten.compress.step import Context, ModelStep
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.pieces import choose_pieces, write_trimmed
from lighten.models.slicing import keep_pieces
from lighten.models.tokens import lengths, read_tokenizer


class Vocabulary(ModelStep):
    """Keep the pieces that occur in the training text, or the most frequent of them.

    With ``used`` the training text is tokenised exactly as before; a word never seen falls back to shorter
    pieces. A number cuts rare pieces too.
    """

    name: ClassVar[str] = "vocabulary"

    size: Literal["used"] | int = Field(default="used")
    """``used``, or how many pieces to keep."""

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the checkpoint with the smaller tokenizer and embedding table."""
        config = read_config(source)
        kept = choose_pieces(source, context.encode(source, context.train.texts), self.size)
        try:
            smaller = keep_pieces(config, read_state(source), kept)
        except ValueError as error:
            raise InputError(str(error), "step 'vocabulary'") from None
        write_trimmed(source, target, kept)
        write_checkpoint(target, *smaller, tokenizer=None)
        carry_notes(source, target, head=True)
        before = lengths(read_tokenizer(source), context.validation.texts).sum()
        after = lengths(read_tokenizer(target), context.validation.texts).sum()
        return {"kept": len(kept), "of": int(config["vocab_size"]), "more_tokens": round(float(after / before) - 1, 5)}

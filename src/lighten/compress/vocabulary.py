"""Vocabulary trimming: tokenizer and embedding table cut together to what the task uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from lighten.compress.copy import carry_notes, renumber_ends
from lighten.compress.step import Context, ModelStep
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.decoder.layout import is_decoder
from lighten.models.decoder.slicing import slicing_for
from lighten.models.pieces import choose_pieces, write_trimmed
from lighten.models.tokens import encode, lengths, read_tokenizer

WHOLE = 2**31 - 1
"""More tokens than any text has."""


class Vocabulary(ModelStep):
    """Keep the pieces that occur in the training text, or the most frequent of them.

    With ``used`` the training text is tokenised exactly as before; a word never seen falls back to shorter
    pieces. A number cuts rare pieces too. WordPiece, BPE and Unigram vocabularies; encoders and decoders.
    """

    name: ClassVar[str] = "vocabulary"
    short: ClassVar[str] = "size"

    size: Literal["used"] | int = Field(default="used")
    """``used``, or how many pieces to keep."""

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the checkpoint with the smaller tokenizer and embedding table."""
        config = read_config(source)
        # A language model learns from whole texts, whatever it reads at once.
        longest = WHOLE if is_decoder(config) else context.max_tokens
        kept = choose_pieces(source, encode(read_tokenizer(source), context.train.texts, longest), self.size)
        try:
            smaller, state = slicing_for(config).keep_pieces(config, read_state(source), kept)
        except ValueError as error:
            raise InputError(str(error), "step 'vocabulary'") from None
        left_out = write_trimmed(source, target, kept)
        write_checkpoint(target, smaller, state, tokenizer=None)
        renumber_ends(source, target, kept)
        carry_notes(source, target, head=True)
        before = lengths(read_tokenizer(source), context.validation.texts).sum()
        after = lengths(read_tokenizer(target), context.validation.texts).sum()
        metrics: dict[str, Any] = {
            "kept": len(kept),
            "of": int(config["vocab_size"]),
            "more_tokens": round(float(after / before) - 1, 5) if before else 0.0,
        }
        if left_out:
            metrics["left_out"] = left_out
            metrics["note"] = f"{', '.join(left_out)}: left out, as it holds the whole vocabulary"
        return metrics

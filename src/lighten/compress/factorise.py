"""Factorised embeddings: the token table, most of a small model's bytes, becomes a narrow one and a projection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from lighten.compress.copy import FROZEN, carry_notes
from lighten.compress.judge import some_texts
from lighten.compress.step import Context, ModelStep
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.electra import electra_of
from lighten.models.factorise import embeddings_of, factorise
from lighten.models.layout import check_post_norm, names_of, number_of
from lighten.models.tokens import Ids

WHERE = "step 'factorise'"
FITTED = 32_768
"""Tokens of texts, and pieces of the vocabulary, to fit on at most."""


class Factorise(ModelStep):
    """Store the token embeddings in `width` numbers each; the result is an ELECTRA checkpoint.

    A table of 30,000 pieces shrinks from 384 to 128 numbers a piece. Comes after ``vocabulary`` or before, and before
    distillation, which repairs what is lost; ELECTRA's head has another activation (GELU), so that a head which had
    tanh or ReLU must be trained again, as distillation does.
    """

    name: ClassVar[str] = "factorise"
    short: ClassVar[str] = "width"

    width: int = Field(default=128, ge=8)
    """Numbers per piece; fewer than the hidden width."""
    texts: int = Field(default=512, ge=1)
    """Training texts to fit on, beside the whole vocabulary."""

    def check_model(self, config: Mapping[str, Any], where: str) -> None:
        """Refuse encoders that ELECTRA's layers cannot be."""
        check_post_norm(config, f"step {self.name!r}", where, "'vocabulary' makes its table smaller")

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the ELECTRA checkpoint; returns what share of the embeddings' variance it misses."""
        config, state = read_config(source), read_state(source, leave=(FROZEN,))
        self.check_model(config, WHERE)
        hidden = number_of(config, "hidden_size")
        if self.width >= hidden:
            raise InputError(f"width must be below the hidden width {hidden} but got {self.width}", WHERE)
        try:
            embeddings = embeddings_of(config, state)
        except ValueError as error:
            raise InputError(str(error), WHERE) from None
        encoded, _ = some_texts(source, context, self.texts, FITTED)
        pieces = len(embeddings.words)
        factors = factorise(embeddings, self.width, pairs_of(encoded), self._vocabulary(encoded, pieces, context))
        context.tick()
        write_checkpoint(target, *electra_of(config, state, factors), tokenizer=source)
        carry_notes(source, target, head=True)
        head = names_of(config).head[0][1]
        before = embeddings.words.size
        return {
            "width": self.width,
            "of": hidden,
            "missed": round(factors.error, 6),
            "missed_vocabulary": round(factors.unseen, 6),
            "parameters_saved": before - factors.words.size - factors.weight.size,
            "head": "kept" if head == "gelu" else f"must be trained again: {head} became gelu",
        }

    def _vocabulary(self, encoded: list[Ids], pieces: int, context: Context) -> Any:
        """Return (piece, position) pairs [n, 2]: every piece, or a sample, at positions that occur."""
        random = np.random.default_rng(context.seed)
        chosen = np.sort(random.permutation(pieces)[:FITTED])
        return np.column_stack([chosen, random.integers(0, max(len(ids) for ids in encoded), len(chosen))])


def pairs_of(encoded: list[Ids]) -> Any:
    """Return (piece, position) of every token of some texts [tokens, 2]."""
    positions = [np.arange(len(ids)) for ids in encoded]
    return np.column_stack([np.concatenate(encoded), np.concatenate(positions)]).astype(np.int64)

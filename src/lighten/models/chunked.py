"""Examples whose long texts are replaced by their chunks: what steps on a model learn from."""

from __future__ import annotations

import numpy as np
from tokenizers import Tokenizer

from lighten.models.tokens import special_ends
from lighten.pipeline.examples import Examples
from lighten.runtime.cut import Cutter, chunk_starts
from lighten.runtime.long_texts import Index, Long

PIECE_OF = "piece_of"
"""Further column of chunked examples: which of the texts each chunk is of, from 0."""


def chunked(examples: Examples, tokenizer: Tokenizer, limit: int, long: Long) -> Examples:
    """Cut long texts into the chunks that serving makes of them; each has its text's label, row and group.

    Chunks are pieces of the text, so that any step can read them. A chunk that begins or ends inside a word has other
    tokens there than the same chunk in serving; all others are the same.

    Args:
        examples: with whole texts.
        tokenizer: of the model.
        limit: tokens per chunk, special ones included.
        long: for the overlap.
    """
    cut = Cutter(tokenizer, limit, long, *special_ends(tokenizer))
    tokenizer.no_truncation()
    texts: list[str] = []
    owner: list[int] = []
    for number, text in enumerate(examples.texts):
        places = tokenizer.encode(text, add_special_tokens=False).offsets
        starts = [0] if len(places) <= cut.room else chunk_starts(len(places), cut.room, cut.overlap)
        if len(starts) == 1:
            texts.append(text)
        else:
            texts += [text[places[start][0] : places[start + cut.room - 1][1]] for start in starts]
        owner += [number] * len(starts)
    return Examples(
        texts,
        [examples.labels[i] for i in owner],
        [examples.rows[i] for i in owner],
        None if examples.groups is None else [examples.groups[i] for i in owner],
        {**{name: [values[i] for i in owner] for name, values in examples.more.items()}, PIECE_OF: owner},
    )


def owner_of(examples: Examples) -> Index:
    """Return the text that each example is of [n], ascending from 0: itself, where texts were not chunked."""
    return np.array(examples.more.get(PIECE_OF, range(len(examples))), np.int64)

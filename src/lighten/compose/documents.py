"""Which documents a language model is judged on, and how much of each: minutes must do on two cores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lighten.errors import InputError
from lighten.models.tokens import read_tokenizer
from lighten.pipeline.examples import Examples

DOCUMENT = 256
"""Tokens of one document at most, from its beginning: more documents tell more than longer ones."""
VALIDATION, TEST = 8192, 16384
"""Tokens of all documents at most."""
LEAST = 8
"""Shorter documents say hardly anything."""


def choose_documents(folder: Path, examples: Examples, tokens: int, seed: int, where: str) -> Examples:
    """Return the beginnings of some documents, the first of a seeded shuffle.

    They are cut between tokens of one tokenizer, and kept as texts: models with other vocabularies read the same.

    Args:
        folder: of the tokenizer.
        examples: the documents.
        tokens: of all of them together at most; there is always one document.
        seed: of the shuffle.
        where: the part of the data, for the error.

    Raises:
        InputError: every document is too short.
    """
    tokenizer = read_tokenizer(folder)
    chosen: list[int] = []
    texts: list[str] = []
    total = 0
    for index in np.random.default_rng(seed).permutation(len(examples)).tolist():
        text = examples.texts[index]
        found = tokenizer.encode(text)
        length = min(len(found.ids), DOCUMENT)
        if length < LEAST:
            continue
        if chosen and total + length > tokens:
            break
        chosen.append(index)
        texts.append(text if length == len(found.ids) else text[: found.offsets[length - 1][1]])
        total += length
    if not chosen:
        raise InputError(f"no document has {LEAST} tokens or more", where)
    return _some(examples, chosen, texts)


def some_documents(examples: Examples, count: int, characters: int) -> Examples:
    """Return the beginnings of the first `count` documents, for a dry run."""
    chosen = list(range(min(count, len(examples))))
    return _some(examples, chosen, [examples.texts[i][:characters] for i in chosen])


def _some(examples: Examples, chosen: Sequence[int], texts: list[str]) -> Examples:
    return Examples(texts, [0] * len(texts), [examples.rows[i] for i in chosen])

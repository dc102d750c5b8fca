"""Token ids of texts, by the model's own fast tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from lighten.errors import InputError
from lighten.runtime.tokens import special_ends

__all__ = ["Ids", "encode", "encode_whole", "fitting_length", "lengths", "read_tokenizer", "special_ends"]

Ids = npt.NDArray[np.int32]


def read_tokenizer(folder: Path) -> Tokenizer:
    """Read tokenizer.json without padding and truncation.

    Raises:
        InputError: the file is missing or damaged.
    """
    file = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception
        raise InputError(f"the tokenizer cannot be read: {error}", str(file)) from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int) -> list[Ids]:
    """Return the ids of each text, special tokens included, cut at `max_tokens` (the closing one kept)."""
    tokenizer.enable_truncation(max_tokens)
    return [np.array(item.ids, np.int32) for item in tokenizer.encode_batch_fast(list(texts))]


def encode_whole(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Ids]:
    """Return the untruncated ids of each text, special tokens included."""
    tokenizer.no_truncation()
    return [np.array(item.ids, np.int32) for item in tokenizer.encode_batch_fast(list(texts))]


def lengths(tokenizer: Tokenizer, texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the untruncated number of tokens per text."""
    tokenizer.no_truncation()
    return np.array([len(item.ids) for item in tokenizer.encode_batch_fast(list(texts))], np.int64)


def fitting_length(longest: int, limit: int) -> int:
    """Return the tokens a model should take: a power of two from 128 that holds the longest text, within its limit."""
    wanted = 128
    while wanted < longest:
        wanted *= 2
    return min(wanted, limit)

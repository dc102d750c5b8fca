"""Texts to token ids, and lists of token ids to padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tokenizers

from lighten.errors import InputError
from lighten.runtime.cut import Cutter
from lighten.runtime.long_texts import Long

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tokens:
    """The token ids of one text, whether any were lost, and its further chunks where it was made into several."""

    ids: Ids
    truncated: bool
    rest: tuple[Ids, ...] = ()

    @property
    def sequences(self) -> tuple[Ids, ...]:
        """All that the model sees of the text."""
        return (self.ids, *self.rest)


def open_tokenizer(path: Path) -> tokenizers.Tokenizer:
    """Read a ``tokenizer.json`` without the padding and the cutting that it may remember from a training.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust side raises plain Exception
        raise InputError(f"the tokenizer cannot be read: {error}", str(path)) from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def special_ends(tokenizer: tokenizers.Tokenizer) -> tuple[int, int]:
    """Return how many special tokens the tokenizer puts in front of a text and behind it."""
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a").ids
    extra = len(whole) - len(plain)
    opening = next((at for at in range(extra + 1) if whole[at : at + len(plain)] == plain), extra)
    return opening, extra - opening


class Tokenizer:
    """A ``tokenizer.json`` that fits texts to `max_tokens` and never pads.

    Args:
        path: the file.
        max_tokens: special tokens included.
        lowercase: lower the text first.
        long: what becomes of longer texts.
    """

    def __init__(self, path: Path, max_tokens: int, lowercase: bool = False, long: Long | None = None) -> None:
        # A tokenizer.json remembers how training padded; padding to a fixed length would undo all batching here.
        self._tokenizer = open_tokenizer(path)
        self.max_tokens, self.lowercase = max_tokens, lowercase
        special = self._tokenizer.num_special_tokens_to_add(False)
        if max_tokens <= special:  # tokenizers would silently not cut at all
            raise InputError(f"max_tokens is {max_tokens}, but the special tokens alone are {special}", str(path))
        self._cut: Cutter | None = None
        if long is None or long.strategy == "truncate":
            self._tokenizer.enable_truncation(max_length=max_tokens)
        else:
            self._cut = Cutter(self._tokenizer, max_tokens, long, *special_ends(self._tokenizer))

    @property
    def vocabulary(self) -> int:
        """Number of tokens, added ones included."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def __call__(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenise texts, special tokens included, none longer than `max_tokens`.

        Raises:
            InputError: a text that is no valid Unicode (a lone surrogate).
        """
        if self.lowercase:
            texts = [text.lower() for text in texts]
        try:
            # One text is not worth waking a thread pool for.
            encodings = (
                [self._tokenizer.encode(texts[0])]
                if len(texts) == 1
                else self._tokenizer.encode_batch_fast(list(texts))
            )
        except (UnicodeError, TypeError):
            for index, text in enumerate(texts):
                _check_unicode(index, text)
            raise
        return [self._tokens(encoding, text) for encoding, text in zip(encodings, texts, strict=True)]

    def _tokens(self, encoding: Any, text: str) -> Tokens:
        ids = np.array(encoding.ids, dtype=np.int64)
        if self._cut is not None:
            (first, *rest), lost = self._cut(ids, text)
            return Tokens(first, lost > 0, tuple(rest))
        # `overflowing` copies the rest of the text, so it is asked only of texts that may have one.
        return Tokens(ids, len(ids) >= self.max_tokens and len(encoding.overflowing) > 0)


def _check_unicode(index: int, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"no valid Unicode: {error.reason} at character {error.start}", f"text {index}") from None


def plan_batches(
    lengths: Sequence[int], token_budget: int, max_batch: int | None = None
) -> list[npt.NDArray[np.intp]]:
    """Group texts of similar length so that each padded batch stays within a budget of tokens.

    Args:
        lengths: tokens of each text.
        token_budget: most tokens of a batch, padding included; a longer text is a batch of its own.
        max_batch: most texts of a batch; None for no limit.

    Returns:
        Indices into `lengths`, each once, shortest texts first.
    """
    order = np.argsort(np.asarray(lengths, dtype=np.int64), kind="stable")
    batches, start = [], 0
    for end in range(1, len(order) + 1):
        full = max_batch is not None and end - start >= max_batch
        if end == len(order) or full or (end - start + 1) * lengths[order[end]] > token_budget:
            batches.append(order[start:end])
            start = end
    return batches


def pad(rows: Sequence[Ids], pad_token_id: int) -> tuple[Ids, Ids]:
    """Pad on the right: token ids and attention mask, both int64 [texts, longest]."""
    longest = max(1, max(len(row) for row in rows))
    input_ids = np.full((len(rows), longest), pad_token_id, dtype=np.int64)
    attention_mask = np.zeros((len(rows), longest), dtype=np.int64)
    for index, row in enumerate(rows):
        input_ids[index, : len(row)] = row
        attention_mask[index, : len(row)] = 1
    return input_ids, attention_mask

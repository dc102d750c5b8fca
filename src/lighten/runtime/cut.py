"""Cuts texts longer than a model's limit, in training and in serving alike: numpy and the tokenizer, nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tokenizers

from lighten.errors import InputError
from lighten.runtime.long_texts import Long
from lighten.runtime.sentence_scores import best_within, textrank_scores, tfidf_scores
from lighten.runtime.sentences import sentence_starts, words_by_sentence

Ids = npt.NDArray[Any]
Index = npt.NDArray[np.int64]


class Cutter:
    """Cuts one text at a time.

    Args:
        tokenizer: that made the ids; asked again (without truncation) where sentences are needed.
        limit: tokens per sequence, special ones included.
        long: how.
        opening: special tokens in front of each text; they stay with every sequence.
        closing: special tokens behind each text.

    Raises:
        InputError: a limit without room, or ``sentences`` without document frequencies.
    """

    def __init__(
        self, tokenizer: tokenizers.Tokenizer | None, limit: int, long: Long, opening: int = 1, closing: int = 1
    ) -> None:
        self.tokenizer, self.limit, self.long = tokenizer, limit, long
        self.opening, self.closing = opening, closing
        self.room = limit - opening - closing
        if self.room < 1:
            raise InputError(f"a limit of {limit} tokens leaves no room beside {opening + closing} special ones")
        if long.strategy == "sentences" and long.frequencies is None:
            raise InputError("the best sentences are found by document frequencies, and there are none")
        self.overlap = min(long.overlap, self.room // 4)

    def __call__(self, ids: Ids, text: str = "") -> tuple[list[Ids], int]:
        """Return the sequences of a text, each within the limit, and how many of its tokens are in none.

        Args:
            ids: the untruncated token ids, special ones included.
            text: that they are of; only the sentence strategies read it.
        """
        if len(ids) <= self.limit:
            return [ids], 0
        end = len(ids) - self.closing
        first, content, last = ids[: self.opening], ids[self.opening : end], ids[end:]
        kept = self._kept(content, text)
        seen = sum(len(part) for part in kept[:1]) if self.long.strategy != "chunk" else len(content)
        return [np.concatenate([first, part, last]) for part in kept], len(content) - seen

    def _kept(self, content: Ids, text: str) -> list[Ids]:
        size, room = len(content), self.room
        match self.long.strategy:
            case "truncate":
                return [content[:room]]
            case "head-tail":
                head = round(self.long.head * room)
                return [np.concatenate([content[:head], content[size - (room - head) :]])]
            case "chunk":
                return [content[start : start + room] for start in chunk_starts(size, room, self.overlap)]
        return [content[self._best(size, text)]]

    def _best(self, size: int, text: str) -> Index:
        """Return which tokens of the content are in the best sentences, ascending."""
        assert self.tokenizer is not None
        starts = sentence_starts(text)
        words = words_by_sentence(text, starts)
        if self.long.strategy == "textrank":
            scores = textrank_scores(words)
        else:
            assert self.long.frequencies is not None
            scores = tfidf_scores(words, self.long.frequencies)
        places = [start for start, _ in self.tokenizer.encode(text, add_special_tokens=False).offsets]
        if len(places) != size:  # a tokenizer whose special tokens change what is between them
            raise InputError(f"{size} tokens with the special ones taken away, {len(places)} without them")
        sentence = np.searchsorted(starts, places, side="right") - 1
        sizes = np.bincount(sentence, minlength=len(starts))
        kept = best_within(scores, sizes.tolist(), self.room)
        if kept:
            return np.flatnonzero(np.isin(sentence, kept))
        # No sentence fits: the beginning of the best one that has tokens.
        best = int(np.argmax(np.where(sizes > 0, scores, -np.inf)))
        return np.flatnonzero(sentence == best)[: self.room]


def chunk_starts(size: int, room: int, overlap: int) -> list[int]:
    """Return where chunks of `room` tokens begin, spread evenly: a last one of a few tokens would vote like others."""
    count = -(-(size - overlap) // (room - overlap))
    return [int(start) for start in np.linspace(0, size - room, count).round()]

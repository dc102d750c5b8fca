"""A part of the data as sentences: what an extractive summariser reads, learns and chooses from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from lighten.measure.rouge import rouge_n
from lighten.models.tokens import read_tokenizer
from lighten.pipeline.examples import Examples
from lighten.runtime.choosing import choose_sentences
from lighten.runtime.sentence_pieces import Piece, Scores, ends_of, pieces_of_sentences, sentence_means
from lighten.runtime.sentences import sentences_of, words_of
from lighten.tasks.job import Job
from lighten.train.batches import Index
from lighten.train.datasets.sentences import SentenceRows
from lighten.train.datasets.tokenised import tokenised


class SentencePart:
    """The texts of a part as sentences and pieces, and what is wanted of each sentence.

    Attributes:
        sentences: of each text.
        pieces: of all texts; their sentences are numbered through all texts.
        owner: the text of each piece.
        starts: the number of each text's first sentence, and of all sentences [texts + 1].
        cut: sentences that are longer than a piece.
        lost: tokens of them that no piece has.
    """

    def __init__(self, job: Job, examples: Examples, limit: int, pad_id: int) -> None:
        self.examples, self.pad_id, tokenizer = examples, pad_id, read_tokenizer(job.source)
        self.sentences = [sentences_of(text) for text in examples.texts]
        self.starts: Index = np.concatenate([[0], np.cumsum([len(parts) for parts in self.sentences])]).astype(
            np.int64
        )
        flat = [part for parts in self.sentences for part in parts]
        store = job.group.first(lambda: tokenised(job.work / "tokens", tokenizer, flat, special=False))
        encoded = [np.asarray(ids, np.int64) for ids in store]
        opening, closing = ends_of(tokenizer)
        room = limit - len(opening) - len(closing)
        self.cut = sum(len(ids) > room for ids in encoded)
        self.lost = sum(max(0, len(ids) - room) for ids in encoded)
        self.pieces: list[Piece] = []
        owner: list[int] = []
        for number, first in enumerate(self.starts[:-1].tolist()):
            own = encoded[first : int(self.starts[number + 1])]
            found = pieces_of_sentences(own, opening, closing, limit)
            self.pieces += [
                Piece(one.ids, np.where(one.sentence < 0, one.sentence, one.sentence + first)) for one in found
            ]
            owner += [number] * len(found)
        self.owner: Index = np.array(owner, np.int64)

    @cached_property
    def rows(self) -> SentenceRows:
        """What a training takes."""
        wanted = [
            rouge_n(words_of(part), reference, 1).precision
            for parts, reference in zip(self.sentences, map(words_of, self.examples.more["summary"]), strict=True)
            for part in parts
        ]
        return SentenceRows(self.pieces, np.array(wanted, np.float32), self.pad_id)

    def pieces_of(self, places: Index) -> Index:
        """Return which pieces are of the texts at `places`."""
        return np.flatnonzero(np.isin(self.owner, places)).astype(np.int64)

    def scores(self, values: Mapping[int, Any]) -> list[Scores]:
        """Return the scores of each text's sentences, given what was said of the tokens of some pieces."""
        none = np.zeros(0, np.int64)
        sentence = np.concatenate([none, *(self.pieces[number].sentence for number in values)])
        means = sentence_means(np.concatenate([none, *values.values()]), sentence, int(self.starts[-1]))
        return np.split(means, self.starts[1:-1])

    def summaries(self, scores: list[Scores], places: Index, words: int, no_repeat: int) -> list[str]:
        """Return the chosen sentences of the texts at `places`, a line each."""
        found = []
        for at in places.tolist():
            chosen = choose_sentences(self.sentences[at], scores[at], words, no_repeat)
            found.append("\n".join(self.sentences[at][number] for number in chosen))
        return found

"""An extractive summariser loaded from a model folder: it chooses sentences; numpy, ONNX Runtime, tokenizers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lighten.errors import InputError
from lighten.runtime.choosing import choose_sentences
from lighten.runtime.folder import SUMMARIES, TOKENIZER, ModelFolder
from lighten.runtime.sentence_pieces import Scores, ends_of, pieces_of_sentences, sentence_means
from lighten.runtime.sentences import sentences_of
from lighten.runtime.session import check_threads, open_session
from lighten.runtime.tokens import open_tokenizer, pad, plan_batches

BUDGET = 4096
"""Tokens of a run, padding included."""
TOLERANCE = 0.01
"""By how much a score may differ from the one in the self-test: other machines round otherwise."""


class Extractor:
    """Chooses the sentences of texts of any length; may be used by several threads at once."""

    def __init__(self, folder: ModelFolder, *, threads: int | None = None, spinning: bool | None = None) -> None:
        if folder.task != SUMMARIES or not folder.extraction:
            raise InputError("this model chooses no sentences", str(folder.path))
        check_threads(threads)
        self.folder = folder
        self.threads = threads if threads is not None else folder.threads
        self._session = open_session(folder.graph, self.threads, folder.spinning if spinning is None else spinning)
        self._tokenizer = open_tokenizer(folder.path / TOKENIZER)
        self._ends = ends_of(self._tokenizer)
        self.words, self.no_repeat = int(folder.extraction["words"]), int(folder.extraction["no_repeat"])

    def summarize(self, texts: str | Sequence[str], *, words: int | None = None) -> list[str]:
        """Return a summary per text: its best sentences in its own order, a line each; empty for a blank text.

        Args:
            texts: of any length; nothing is cut but sentences that are longer than the model reads.
            words: of a summary, about; None for what the folder says.

        Raises:
            InputError: no valid Unicode, or less than one word.
        """
        if words is not None and (isinstance(words, bool) or not isinstance(words, int) or words < 1):
            raise InputError(f"words must be a whole number of at least 1, not {words!r}")
        found = []
        for text in [texts] if isinstance(texts, str) else texts:
            parts, scores = self.scores(text)
            places = choose_sentences(parts, scores, words or self.words, self.no_repeat)
            found.append("\n".join(parts[place] for place in places))
        return found

    def scores(self, text: str) -> tuple[list[str], Scores]:
        """Return the sentences of a text, and the score of each: the higher, the more of it is in a summary."""
        parts = sentences_of(text)
        try:
            encoded = self._tokenizer.encode_batch_fast(parts, add_special_tokens=False)
        except (UnicodeError, TypeError):
            raise InputError("the text is no valid Unicode") from None
        ids = [np.asarray(item.ids, np.int64) for item in encoded]
        pieces = pieces_of_sentences(ids, *self._ends, self.folder.max_tokens)
        values = [np.zeros(0, np.float32)] * len(pieces)
        for batch in plan_batches([len(piece.ids) for piece in pieces], BUDGET):
            rows, mask = pad([pieces[number].ids for number in batch], self.folder.pad_token_id)
            (logits,) = self._session.run(["scores"], {"input_ids": rows, "attention_mask": mask})
            for number, row in zip(batch.tolist(), logits, strict=True):
                values[number] = row[: len(pieces[number].ids)]
        none = np.zeros(0, np.int64)
        sentence = np.concatenate([none, *(piece.sentence for piece in pieces)])
        return parts, sentence_means(np.concatenate([none, *values]), sentence, len(parts))

    def verify(self) -> None:
        """Compare every file with its recorded checksum; InputError where one differs."""
        self.folder.verify()

    def self_test(self) -> list[str]:
        """Score the sentences of the texts kept in the folder; returns one sentence per text that differs."""
        differences = []
        for number, case in enumerate(self.folder.self_test):
            found, expected = self.scores(case["text"])[1], np.array(case["scores"])
            if found.shape != expected.shape or not np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
                differences.append(f"self-test {number}: scores {expected.round(4)} expected, {found.round(4)} found")
        return differences

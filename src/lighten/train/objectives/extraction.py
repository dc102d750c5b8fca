"""Scores of sentences: the mean over a sentence's tokens says how much of it belongs in a summary."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from lighten.runtime.sentence_pieces import SPECIAL
from lighten.train.batches import Batch
from lighten.train.datasets.sentences import SENTENCE, WANTED


class Extraction:
    """Cross-entropy of each sentence's score with a share between 0 and 1."""

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        """Return the sum over the sentences."""
        return self.compare(model(**batch.inputs).logits[..., 0].float(), batch)

    def compare(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return the sum over the sentences, given what was said of each token [rows, tokens]."""
        wanted = batch.targets[WANTED]
        scores = mean_by_sentence(logits, batch.targets[SENTENCE], len(wanted))
        return functional.binary_cross_entropy_with_logits(scores, wanted, reduction="sum")


def mean_by_sentence(logits: torch.Tensor, sentence: torch.Tensor, count: int) -> torch.Tensor:
    """Return `lighten.runtime.sentence_pieces.sentence_means` with its gradient.

    Args:
        logits: of tokens [rows, tokens].
        sentence: of each token [rows, tokens], `SPECIAL` for none; every one of `count` has a token.
        count: sentences.
    """
    real = sentence != SPECIAL
    sums = logits.new_zeros(count).index_add(0, sentence[real], logits[real])
    return sums / torch.bincount(sentence[real], minlength=count)

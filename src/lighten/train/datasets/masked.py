"""Texts with some tokens hidden, anew in every epoch: what masked language modelling reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lighten.errors import InputError
from lighten.train.batches import Batch, Ids, Index
from lighten.train.datasets.dataset import shorten
from lighten.train.objectives.token_loss import IGNORED


class MaskedRows:
    """Texts of which a share of the tokens is to be predicted (Devlin et al. 2019).

    Of the tokens chosen 80% become the mask token, 10% a random piece, 10% stay. The choice follows from the seed,
    the epoch and the text alone: neither batches nor processes change it. Exactly ``round(probability * n)`` of the
    n tokens of a text that are not special are chosen, one at least, so that units are known beforehand.

    Args:
        encoded: token ids per text.
        pad_id: the padding token.
        mask_id: the mask token.
        vocabulary: number of pieces.
        special_ids: never chosen, and never put in at random.
        probability: share of the tokens to predict.
        seed: of the choice.
        groups: texts that share a row (see `lighten.train.datasets.packed.pack`); None gives each a row of its own.
        first_position: position id of a text's first token, needed with `groups` (RoBERTa: padding id + 1).
    """

    def __init__(
        self,
        encoded: Sequence[Ids],
        pad_id: int,
        mask_id: int,
        vocabulary: int,
        special_ids: Sequence[int],
        probability: float = 0.15,
        seed: int = 0,
        groups: Sequence[Index] | None = None,
        first_position: int = 0,
    ) -> None:
        if not 0 < probability < 1:
            raise InputError(f"the share of masked tokens must lie between 0 and 1, not {probability:g}")
        self.encoded, self.pad_id, self.mask_id = encoded, pad_id, mask_id
        self.probability, self.seed, self.groups, self.first_position = probability, seed, groups, first_position
        self.special = np.zeros(vocabulary, bool)
        self.special[[i for i in {*special_ids, pad_id, mask_id} if 0 <= i < vocabulary]] = True
        self.pieces = np.flatnonzero(~self.special)
        sizes, counts = [], []
        for ids in encoded:
            sizes.append(len(ids))
            counts.append(self._count(ids))
        self.sizes, self.counts = np.array(sizes, np.int64), np.array(counts, np.int64)
        rows = None if groups is None else [int(self.sizes[group].sum()) for group in groups]
        self.lengths = self.sizes if rows is None else np.array(rows, np.int64)

    def _count(self, ids: Ids) -> int:
        maskable = len(ids) - int(np.count_nonzero(self.special[ids]))
        return max(1, round(self.probability * maskable)) if maskable else 0

    def units(self, index: Index, limit: int | None = None) -> float:
        """Return the number of tokens to predict."""
        total = 0
        for row in index:
            for text, keep in self._row(int(row), limit):
                short = keep < self.sizes[text]
                total += self._count(shorten(self.encoded[text], keep)) if short else int(self.counts[text])
        return float(total)

    def _row(self, row: int, limit: int | None) -> list[tuple[int, int]]:
        """Return the texts of a row, each with the tokens it keeps."""
        if self.groups is None:
            size = int(self.sizes[row])
            return [(row, size if limit is None else min(size, limit))]
        kept, room = [], limit
        for text in self.groups[row]:
            size = int(self.sizes[text])
            if room is not None:
                size = min(size, room)
                room -= size
            if size:
                kept.append((int(text), size))
        return kept

    def masked(self, text: int, epoch: int, keep: int | None = None) -> tuple[Ids, Index]:
        """Return what the model sees of a text, and the labels: the hidden tokens, -100 elsewhere [tokens] each."""
        ids = self.encoded[text] if keep is None else shorten(self.encoded[text], keep)
        rng = np.random.default_rng([self.seed, epoch, text])
        seen, labels = np.array(ids, np.int32), np.full(len(ids), IGNORED, np.int64)
        maskable = np.flatnonzero(~self.special[ids])
        chosen = rng.permutation(maskable)[: self._count(ids)]
        labels[chosen] = ids[chosen]
        kind = rng.random(len(chosen))
        seen[chosen[kind < 0.8]] = self.mask_id
        swapped = chosen[(kind >= 0.8) & (kind < 0.9)]
        seen[swapped] = rng.choice(self.pieces, len(swapped))
        return seen, labels

    def batch(self, index: Index, epoch: int = 0, limit: int | None = None) -> Batch:
        """Return the rows, padded on the right.

        ``targets["labels"]`` [rows, tokens]; of rows of several texts also ``targets["texts"]``, which text of its
        row each token belongs to (-1 for padding), and position ids in place of the attention mask.
        """
        rows = [self._row(int(row), limit) for row in index]
        width = max(sum(keep for _, keep in row) for row in rows)
        shape = (len(rows), width)
        ids, labels = np.full(shape, self.pad_id, np.int64), np.full(shape, IGNORED, np.int64)
        texts, positions = np.full(shape, -1, np.int64), np.zeros(shape, np.int64)
        for number, row in enumerate(rows):
            start = 0
            for order, (text, keep) in enumerate(row):
                end = start + keep
                ids[number, start:end], labels[number, start:end] = self.masked(text, epoch, keep)
                texts[number, start:end] = order
                positions[number, start:end] = np.arange(self.first_position, self.first_position + keep)
                start = end
        inputs, targets = {"input_ids": torch.from_numpy(ids)}, {"labels": torch.from_numpy(labels)}
        if self.groups is None:
            inputs["attention_mask"] = torch.from_numpy((texts >= 0).astype(np.int64))
        else:
            inputs["position_ids"] = torch.from_numpy(positions)
            targets["texts"] = torch.from_numpy(texts)
        units, real = float((labels != IGNORED).sum()), int((texts >= 0).sum())
        return Batch(inputs, torch.from_numpy(np.asarray(index, np.int64)), units, real, targets)

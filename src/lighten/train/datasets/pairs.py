"""Sources with their targets: what sequence-to-sequence models read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lighten.errors import InputError
from lighten.train.batches import Batch, Ids, Index
from lighten.train.datasets.dataset import shorten
from lighten.train.objectives.token_loss import IGNORED


class PairRows:
    """Pairs of texts; a unit is a token of the target.

    What the decoder reads is the target shifted right by one, behind a start token: as Bart, Pegasus, Marian, LED
    and T5 do. mBART puts the last token, its language, in front instead.

    Args:
        sources: token ids per text, closing tokens included.
        targets: token ids per text, closing tokens included.
        pad_id: the padding token.
        start_id: the model's ``decoder_start_token_id``; None wraps each target's last token around (mBART).
        first_global: pass a ``global_attention_mask`` with the first token of every source in it (LED).
    """

    def __init__(
        self,
        sources: Sequence[Ids],
        targets: Sequence[Ids],
        pad_id: int,
        start_id: int | None,
        first_global: bool = False,
    ) -> None:
        if len(sources) != len(targets):
            raise InputError(f"there must be a target for each of the {len(sources)} sources, not {len(targets)}")
        self.sources, self.targets, self.pad_id, self.start_id = sources, targets, pad_id, start_id
        self.first_global = first_global
        self.target_lengths = np.array([len(ids) for ids in targets], np.int64)
        if len(targets) and not self.target_lengths.min():
            raise InputError("a target must have one token at least", f"pair {int(self.target_lengths.argmin())}")
        self.lengths = np.array([len(ids) for ids in sources], np.int64) + self.target_lengths

    def units(self, index: Index, limit: int | None = None) -> float:
        """Return the number of target tokens."""
        return float(self.target_lengths[index].sum())

    def batch(self, index: Index, epoch: int = 0, limit: int | None = None) -> Batch:
        """Return padded sources, decoder inputs and ``targets["labels"]`` [rows, target tokens], -100 for padding.

        A limit shortens the source alone: what is left of it beside the target, two tokens at least.
        """
        sources = [self.sources[i] for i in index]
        if limit is not None:
            keep = np.maximum(2, limit - self.target_lengths[index])
            sources = [shorten(ids, int(most)) for ids, most in zip(sources, keep, strict=True)]
        ids, mask = _padded(sources, self.pad_id)
        goals = [self.targets[i] for i in index]
        wrapped = [np.concatenate([ids[-1:] if self.start_id is None else [self.start_id], ids[:-1]]) for ids in goals]
        before, _ = _padded(wrapped, self.pad_id)
        labels, real = _padded(goals, IGNORED)
        inputs = {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": before}
        if self.first_global:
            inputs["global_attention_mask"] = torch.zeros_like(mask)
            inputs["global_attention_mask"][:, 0] = 1
        tokens = int(mask.sum() + real.sum())
        place = torch.from_numpy(np.asarray(index, np.int64))
        return Batch(inputs, place, float(real.sum()), tokens, {"labels": labels})


def _padded(rows: Sequence[Ids], fill: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the rows padded on the right, and 1 where a token is real [rows, tokens] each."""
    shape = (len(rows), max(1, max(len(ids) for ids in rows)))
    ids, mask = np.full(shape, fill, np.int64), np.zeros(shape, np.int64)
    for row, values in enumerate(rows):
        ids[row, : len(values)], mask[row, : len(values)] = values, 1
    return torch.from_numpy(ids), torch.from_numpy(mask)

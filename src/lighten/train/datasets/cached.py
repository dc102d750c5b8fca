"""Texts as the activations of a frozen layer, read from a memory-mapped file."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from lighten.train.batches import Batch, Index


class CachedRows:
    """Texts whose bottom layers have been run: a batch holds ``inputs_embeds`` for the top of the model.

    The model must be cut to its top meanwhile (`lighten.models.freeze.top_only`).

    Args:
        activations: of all tokens of all texts in a row [all tokens, hidden], float32 or float16; usually a memory
            map, of which a batch reads its own rows alone.
        starts: where each text begins [n + 1].
    """

    def __init__(self, activations: npt.NDArray[np.floating], starts: Index) -> None:
        if int(starts[-1]) != len(activations):
            raise ValueError(f"the texts have {int(starts[-1])} tokens, but there are {len(activations)} activations")
        self.activations, self.starts = activations, starts
        self.lengths: Index = np.diff(starts)

    def units(self, index: Index, limit: int | None = None) -> float:
        """Return the number of texts."""
        return float(len(index))

    def batch(self, index: Index, epoch: int = 0, limit: int | None = None) -> Batch:
        """Return the texts padded to the longest of them.

        Where a limit cuts a text, its first tokens and the closing one stay, as they were computed in the whole text.
        """
        lengths = self.lengths[index] if limit is None else np.minimum(self.lengths[index], limit)
        inputs = torch.zeros(len(index), int(lengths.max()), self.activations.shape[1])
        mask = torch.zeros(inputs.shape[:2], dtype=torch.long)
        values = inputs.numpy()  # shares memory; numpy reads the map and widens in one pass
        for row, (text, length) in enumerate(zip(index, lengths, strict=True)):
            start, end = int(self.starts[text]), int(self.starts[text + 1])
            values[row, :length] = self.activations[start : start + length]
            if length:
                values[row, length - 1] = self.activations[end - 1]
            mask[row, :length] = 1
        return Batch(
            {"inputs_embeds": inputs, "attention_mask": mask},
            torch.from_numpy(np.asarray(index, np.int64)),
            float(len(index)),
            int(lengths.sum()),
        )

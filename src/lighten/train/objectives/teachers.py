"""Where the teacher's inner features come from: a cache of flat rows, or a frozen model that runs beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lighten.train.batches import Batch, Ids, pad
from lighten.train.objectives.capture import Features, Qkv, capturing


class CachedFeatures:
    """Features kept token by token; a batch is put together from them.

    Args:
        starts: where each example's tokens begin [n + 1].
        states: by layer [all tokens, hidden].
        qkv: by layer, three of [all tokens, width].
    """

    def __init__(
        self, starts: torch.Tensor, states: Mapping[int, torch.Tensor], qkv: Mapping[int, Qkv] | None = None
    ) -> None:
        self.starts, self.states, self.qkv = starts, dict(states), dict(qkv or {})

    def features(self, batch: Batch) -> Features:
        """Return the features of the examples in a batch, zeros at padding."""
        mask = batch.mask.bool()
        spans = [(int(self.starts[i]), int(self.starts[i + 1])) for i in batch.index]
        rows = torch.cat([torch.arange(start, end) for start, end in spans])

        def spread(flat: torch.Tensor) -> torch.Tensor:
            result = torch.zeros(*mask.shape, flat.shape[1], device=mask.device)
            result[mask] = flat[rows].to(mask.device).float()
            return result

        states = {layer: spread(flat) for layer, flat in self.states.items()}
        qkv = {layer: (spread(q), spread(k), spread(v)) for layer, (q, k, v) in self.qkv.items()}
        return Features(states, qkv)


class OnlineFeatures:
    """A frozen teacher that runs on the same examples, in its own token ids.

    Args:
        model: the teacher; put into evaluation mode.
        encoded: token ids of every example, as many per example as the student has.
        pad_id: the teacher's padding token.
        states: layers whose hidden states are wanted (0: embeddings).
        qkv: layers whose queries, keys and values are wanted.
    """

    def __init__(
        self, model: Any, encoded: Sequence[Ids], pad_id: int, states: Sequence[int], qkv: Sequence[int]
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self.encoded, self.pad_id = encoded, pad_id
        self.state_layers, self.qkv_layers = list(states), list(qkv)

    def features(self, batch: Batch) -> Features:
        """Run the teacher on the examples of a batch."""
        own = pad(self.encoded, batch.index.cpu().numpy(), self.pad_id).to(batch.mask.device)
        options = {"output_hidden_states": True} if self.state_layers else {}
        with torch.no_grad(), capturing(self.model, self.qkv_layers) as qkv:
            result = self.model(**own.inputs, **options)
        return Features({layer: result.hidden_states[layer] for layer in self.state_layers}, qkv)

"""A causal language model of transformers with the same two methods that an exported one has, to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lighten.measure.language_speed import TokenModel
from lighten.runtime.tokens import Ids


def load_peer(folder: Path, threads: int | None = None) -> TransformersModel:
    """Load a checkpoint in fp32 as plain transformers does; `threads` sets torch's for this process."""
    import torch
    import transformers

    if threads is not None:
        torch.set_num_threads(threads)
    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return TransformersModel(model.eval())


class TransformersModel(TokenModel):
    """A model of transformers in evaluation mode, with its own cache."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.vocabulary = int(model.config.vocab_size)

    def prefill(self, ids: Ids, room: int) -> tuple[Any, int]:
        """Read a prompt; returns the cache and the most probable next token."""
        return self._forward(ids, None)

    def decode(self, cache: Any, token: int) -> tuple[Any, int]:
        """Read one token more."""
        return self._forward(np.array([token]), cache)

    def log_probabilities(self, ids: Ids) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the logarithm of the probability of every token of a text but the first, [tokens - 1]."""
        import torch

        given = torch.from_numpy(np.asarray(ids, np.int64))
        with torch.inference_mode():
            logits = self.model(input_ids=given[None, :-1], use_cache=False).logits[0].double()
        return np.asarray(logits.log_softmax(-1).gather(1, given[1:, None])[:, 0].numpy())

    def _forward(self, ids: Ids, cache: Any) -> tuple[Any, int]:
        import torch

        given = torch.from_numpy(np.asarray(ids, np.int64))[None]
        with torch.inference_mode():
            found = self.model(input_ids=given, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return found.past_key_values, int(found.logits[0, -1].argmax())

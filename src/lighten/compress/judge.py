"""How well a model does before it is trained: the score by which cuts of a teacher are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file

from lighten.compress.copy import FROZEN
from lighten.compress.fit import padding_id
from lighten.compress.step import Context
from lighten.models.checkpoint import read_state
from lighten.models.layout import names_of
from lighten.models.tokens import Ids
from lighten.train import precision as precisions
from lighten.train.infer import infer

TOKENS = 16_384
"""Tokens to run at most, whatever number of texts is asked for."""


def some_texts(folder: Path, context: Context, count: int, tokens: int = TOKENS) -> tuple[list[Ids], list[int]]:
    """Return the ids of up to `count` training texts, and which texts they are: the first of a seeded shuffle.

    Args:
        folder: of the tokenizer.
        context: the texts.
        count: texts at most.
        tokens: tokens at most; one text is always returned.
    """
    order = np.random.default_rng(context.seed).permutation(len(context.train.texts))[:count]
    encoded = context.encode(folder, [context.train.texts[i] for i in order])
    total = np.cumsum([len(ids) for ids in encoded])
    fitting = max(1, int(np.searchsorted(total, tokens, side="right")))
    return encoded[:fitting], [int(i) for i in order[:fitting]]


class Judge:
    """Scores models on a sample of the training texts, without training; less is better.

    Where the model has a head for the classes it is the loss (cross-entropy). Without one it is how far the cosines
    between the texts' mean states are from those of the whole model: that compares models of any width.

    Args:
        folder: checkpoint of the whole model, with the tokenizer of all that are compared.
        model: the same, loaded.
        context: texts and labels.
        texts: size of the sample.
    """

    def __init__(self, folder: Path, model: Any, context: Context, texts: int) -> None:
        self.encoded, chosen = some_texts(folder, context, texts)
        self.labels = torch.tensor([context.train.labels[i] for i in chosen])
        self.context = context
        self.head = load_file(folder / FROZEN) if (folder / FROZEN).is_file() else None
        wanted = [name + ".weight" for name, _ in names_of(model.config.to_dict()).head]
        present = read_state(folder, leave=(FROZEN,), only=wanted)
        whole = len(present) == len(wanted) and present[wanted[-1]].shape[0] == len(context.labels)
        self.measure = "loss" if whole or self.head is not None else "similarities"
        self._whole = None if self.measure == "loss" else self._cosines(model)

    @property
    def texts(self) -> int:
        """Texts in the sample."""
        return len(self.encoded)

    def score(self, model: Any, basis: Any = None) -> float:
        """Return the model's score, rounded to six digits.

        Args:
            model: a sequence classifier that reads the same tokens.
            basis: directions of the whole model's states that this one has [hidden, its hidden], for a head beside
                the checkpoint; None for all.
        """
        if self._whole is not None:
            return round(float((self._cosines(model) - self._whole).square().mean()), 6)
        if self.head is None:
            logits = self._run(model).logits
        else:
            weight = self.head["weight"] if basis is None else basis.T @ self.head["weight"]
            logits = self._pooled(model) @ torch.from_numpy(weight).float() + torch.from_numpy(self.head["bias"])
        return round(float(torch.nn.functional.cross_entropy(logits, self.labels)), 6)

    def _run(self, model: Any) -> Any:
        # Not whichever is faster at the moment: near ties would go the other way from run to run.
        chosen = precisions.choose(self.context.precision or "fp32", model.config.hidden_size)
        return infer(model, self.encoded, padding_id(model), chosen, pooled=True, tick=self.context.tick)

    def _pooled(self, model: Any) -> torch.Tensor:
        pooled: torch.Tensor = self._run(model).pooled
        return pooled

    def _cosines(self, model: Any) -> torch.Tensor:
        states = torch.nn.functional.normalize(self._pooled(model), dim=1)
        return states @ states.T

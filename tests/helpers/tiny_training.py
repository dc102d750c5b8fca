"""A training whose steps take a millisecond: bags of words, for what the loop does whatever the model is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from tests.helpers.training import FAST

from lighten.train.datasets.dataset import TextRows
from lighten.train.infer import infer
from lighten.train.loop import Settings, Training
from lighten.train.objectives import Classification
from lighten.train.precision import Precision
from lighten.train.sampler import Sampler

WORDS, WIDTH, BUDGET = 40, 16, 128


class Bag(torch.nn.Module):
    """The mean of a text's embeddings, one hidden layer, dropout, two classes."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.embeddings = torch.nn.Embedding(WORDS, WIDTH)
        self.dense = torch.nn.Linear(WIDTH, WIDTH)
        self.dropout = torch.nn.Dropout(dropout)
        self.classifier = torch.nn.Linear(WIDTH, 2)
        self.config = SimpleNamespace(num_labels=2, hidden_size=WIDTH)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        mask = attention_mask[..., None].float()
        pooled = (self.embeddings(input_ids) * mask).sum(1) / mask.sum(1)
        return SimpleNamespace(logits=self.classifier(self.dropout(torch.tanh(self.dense(pooled)))))


class TinyTask:
    """Texts of random words, one of which tells the label; as `tests.helpers.training.Task`, and as it is used."""

    def __init__(self, count: int = 96) -> None:
        rng = np.random.default_rng(1)
        self.labels = torch.arange(count) % 2
        self.encoded = []
        for label in self.labels.tolist():
            ids = rng.integers(10, WORDS, rng.integers(4, 20)).astype(np.int32)
            ids[rng.integers(len(ids))] = 4 + label
            self.encoded.append(ids)

    def training(self, settings: Settings = FAST, folder: Path | None = None, dropout: float = 0.0, **options: Any):
        torch.manual_seed(settings.seed)
        model = Bag(dropout)
        sampler = Sampler(TextRows(self.encoded, 0), options.pop("budget", BUDGET), settings.seed)

        def validate(precision: Precision) -> float:
            assert not model.training
            said = infer(model, self.encoded, 0, precision).logits.argmax(1)
            return float((said == self.labels).float().mean() * 100)

        objective = options.pop("objective", Classification(self.labels))
        return Training(
            model, sampler, objective, options.pop("validate", validate), settings, checkpoints=folder, **options
        )

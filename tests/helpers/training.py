"""A task that a tiny BERT learns in seconds, and ways to look at its training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tests.helpers.checkpoints import sentences

from lighten.models.load import load_classifier
from lighten.models.tokens import encode, read_tokenizer
from lighten.train.datasets.dataset import TextRows
from lighten.train.infer import infer
from lighten.train.loop import Settings, Training
from lighten.train.objectives import Classification
from lighten.train.precision import Precision
from lighten.train.sampler import Sampler

FAST = Settings(epochs=3, learning_rate=3e-3, precision="fp32", patience=100)


class Killed(BaseException):
    """Stands for ``kill -9``: nothing in the loop may catch it."""


class Task:
    """Films reviewed in words that tell: learnable by the tiny BERT in a few epochs."""

    def __init__(self, bert: Path, count: int = 96) -> None:
        texts, labels = sentences(count, seed=1)
        self.bert, self.labels = bert, torch.tensor(labels)
        self.encoded = encode(read_tokenizer(bert), texts, 40)

    def training(self, settings: Settings = FAST, folder: Path | None = None, dropout: float = 0.0, **options: Any):
        model = load_classifier(self.bert, ["bad", "good"], settings.seed, dropout)
        sampler = Sampler(TextRows(self.encoded, 0), options.pop("budget", 128), settings.seed)

        def validate(precision: Precision) -> float:
            assert not model.training
            return float(
                (infer(model, self.encoded, 0, precision).logits.argmax(1) == self.labels).float().mean() * 100
            )

        objective = options.pop("objective", Classification(self.labels))
        return Training(
            model, sampler, objective, options.pop("validate", validate), settings, checkpoints=folder, **options
        )


def weights(training) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in training.model.state_dict().items()}


def identical(first, second) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)

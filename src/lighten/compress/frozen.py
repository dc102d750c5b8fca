"""The second rung: the encoder as it is, and a linear classifier on its cached features."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from safetensors.numpy import save_file

from lighten.compress.copy import FROZEN, copy_checkpoint, refuse_ngrams
from lighten.compress.fit import padding_id
from lighten.compress.linear import two_sided
from lighten.compress.step import Context, ModelStep
from lighten.models.layout import Array
from lighten.models.load import load_classifier
from lighten.train import precision as precisions
from lighten.train.infer import infer

FILE = FROZEN


class Frozen(ModelStep):
    """Logistic regression on the mean of the last hidden states; each text passes the encoder once."""

    name: ClassVar[str] = "frozen"

    strengths: tuple[float, ...] = (0.1, 1.0, 10.0)
    """Inverse regularisation strengths to try on the validation examples."""
    limit: int | None = Field(default=None, ge=100)
    """Training texts to use at most (the first ones of a seeded shuffle)."""

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the encoder with `frozen.safetensors`: ``weight`` [hidden, classes] and ``bias`` [classes]."""
        refuse_ngrams(source)
        chosen = choose(context.train.labels, self.limit, context.seed)
        labels = np.array(context.train.labels)[chosen]
        train, held_out = self._features(
            source, [[context.train.texts[i] for i in chosen], context.validation.texts], context
        )
        mean, spread = train.mean(0), train.std(0) + 1e-6
        train, held_out = (train - mean) / spread, (held_out - mean) / spread
        tried: dict[float, tuple[float, Any]] = {}
        for strength in self.strengths:
            model = _regression(train, labels, strength, context.seed)
            tried[strength] = (float(model.score(held_out, context.validation.labels) * 100), model)
            context.tick()
        strength = max(tried, key=lambda c: tried[c][0])
        score, model = tried[strength]
        weight, bias = two_sided(model.coef_, model.intercept_, model.classes_, len(context.labels))
        folded = weight / spread[:, None]  # the standardisation becomes part of the product
        copy_checkpoint(source, target)
        # Unlinked first: a head of an earlier `frozen` may be a hard link into another artifact.
        (target / FILE).unlink(missing_ok=True)
        tensors = {"weight": folded.astype(np.float32), "bias": (bias - mean @ folded).astype(np.float32)}
        save_file(tensors, target / FILE)
        return {"texts": len(labels), "strength": strength, "best": round(score, 3)}

    def _features(self, source: Path, parts: Sequence[Sequence[str]], context: Context) -> list[Array]:
        """Mean of the last hidden states [n, hidden] of each part's texts, in float64."""
        model = load_classifier(source, context.labels, context.seed)
        precision = precisions.choose(context.precision_for("auto"), model.config.hidden_size)
        features = []
        for texts in parts:
            encoded = context.encode(source, list(texts))
            with context.progress.stage("features of the frozen encoder") as stage:
                result = infer(
                    model, encoded, padding_id(model), precision, pooled=True, stage=stage, tick=context.tick
                )
            assert result.pooled is not None
            features.append(result.pooled.double().numpy())
        return features


def choose(labels: Sequence[int], limit: int | None, seed: int) -> Array:
    """Return which examples to use: the first `limit` of a seeded shuffle, one of each class before all others."""
    order = np.random.default_rng(seed).permutation(len(labels))
    _, first = np.unique(np.array(labels)[order], return_index=True)
    first = np.sort(first)
    return np.concatenate([order[first], np.delete(order, first)])[:limit]


def _regression(features: Array, labels: Array, strength: float, seed: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=200, random_state=seed)
    with warnings.catch_warnings():
        # Stopping early is one more regularisation, and validation judges it; no news for the user.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, labels)

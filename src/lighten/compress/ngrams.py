"""The wide part: what single words and pairs of words say, added to the logits of a small encoder."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from safetensors.numpy import load_file

from lighten.compress.copy import FROZEN, NGRAMS, copy_checkpoint
from lighten.compress.fit import padding_id
from lighten.compress.linear import fitted, no_words, weights_of
from lighten.compress.ngram_space import NgramSpace
from lighten.compress.step import Context, ModelStep
from lighten.errors import InputError
from lighten.models.checkpoint import read_config
from lighten.models.decoder.layout import check_encoder
from lighten.models.layout import Array
from lighten.models.load import load_classifier
from lighten.models.ngrams import write_ngrams
from lighten.models.static import FILE as STATIC
from lighten.models.tokens import Ids
from lighten.train import precision as precisions
from lighten.train.infer import infer

MOST = 100.0
"""Weight of the n-grams beside the encoder's logits at most."""


class Ngrams(ModelStep):
    """A linear model over tokens and pairs of tokens, its logits added to the encoder's.

    It answers what depends on words alone, in hardly any time; the smaller the encoder, the more that helps (Wide &
    Deep: Cheng et al. 2016). Fitted to the labels of the training texts; how much it weighs is chosen by the log loss
    of the sum on validation. The last step but for ``quantise``.
    """

    name: ClassVar[str] = "ngrams"
    followed_by: ClassVar[tuple[str, ...] | None] = ("quantise",)

    min_count: int = Field(default=2, ge=1)
    """Texts a token or a pair must occur in."""
    numbers: int = Field(default=1_000_000, ge=1000)
    """Of the table, at most: a row per token and bucket, a number per class. The pairs in the most texts stay."""
    strengths: tuple[float, ...] = Field(default=(4.0, 16.0), min_length=1)
    """Inverse regularisation strengths to try on the validation examples."""

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Copy the checkpoint and write the n-gram part beside it.

        Returns:
            ``pairs`` in the table, ``strength``, ``weight`` beside the encoder's logits (0: it does not help, and
            nothing is written), and percent right on validation: ``before``, ``alone``, and ``best``, both together.
        """
        _check(source, context, f"step {self.name!r}")
        deep = _logits(source, context)
        train, held_out = (context.encode(source, part.texts) for part in (context.train, context.validation))
        labels = np.array(context.validation.labels)
        space = self.space(train, int(read_config(source)["vocab_size"]), no_words(source), len(context.labels))
        features = space.matrix(train)
        tried = []
        with context.progress.stage("n-grams", total=len(self.strengths)) as stage:
            for number, strength in enumerate(self.strengths):
                model = fitted(features, context.train.labels, strength, context.seed)
                weight, bias = weights_of(model, len(context.labels))
                bias[np.abs(bias) > 1e3] = 0.0  # of a class that never occurred: only the encoder knows of it
                scores = space.part(weight, bias).scores(held_out)
                share, loss = weigh(deep, scores, labels)
                tried.append((loss, strength, share, scores, weight, bias))
                stage.update(number + 1)
                context.tick()
        _, strength, share, scores, weight, bias = min(tried, key=lambda one: one[:2])
        copy_checkpoint(source, target)
        (target / NGRAMS).unlink(missing_ok=True)  # it may be a link into another artifact
        if share > 0:
            write_ngrams(target, space.part(share * weight, share * bias))
        answers = {"before": deep, "alone": scores, "best": deep + share * scores}
        right = {name: float((logits.argmax(1) == labels).mean() * 100) for name, logits in answers.items()}
        facts = {"pairs": space.pairs, "strength": strength, "weight": round(share, 4)}
        return {**facts, **{name: round(value, 3) for name, value in right.items()}}

    def space(self, encoded: Sequence[Ids], vocabulary: int, apart: Collection[int], classes: int) -> NgramSpace:
        """Return the tokens and pairs of training texts that have room, see `NgramSpace.of`; `apart` are no words."""
        return NgramSpace.of(encoded, vocabulary, apart, self.min_count, self.numbers // (classes + 1))


def weigh(deep: Array, wide: Array, labels: Array) -> tuple[float, float]:
    """Return by how much to multiply one model's logits before they are added to another's, and the log loss then.

    Both are scaled for the least log loss: an encoder is mostly surer than it should be, and what counts is how much
    the other one weighs beside it.

    Args:
        deep: logits [texts, classes].
        wide: logits to be weighed [texts, classes].
        labels: the truth [texts].
    """
    from scipy.optimize import minimize

    both, rows = np.stack([deep, wide]).astype(np.float64), np.arange(len(labels))

    def loss(shares: Array) -> tuple[float, Array]:
        logits = np.tensordot(shares, both, 1)
        logits -= logits.max(1, keepdims=True)
        chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        value = -np.log(np.maximum(chances[rows, labels], 1e-300)).mean()
        chances[rows, labels] -= 1
        return float(value), (both * chances).sum((1, 2)) / len(rows)

    found = minimize(loss, np.ones(2), jac=True, method="L-BFGS-B", bounds=[(1e-3, MOST), (0.0, MOST)])
    return min(MOST, float(found.x[1] / found.x[0])), float(found.fun)


def _check(source: Path, context: Context, where: str) -> None:
    """Refuse models that have no place for it.

    Raises:
        InputError: a language model, a linear or a static one, or several labels per text.
    """
    check_encoder(read_config(source), where)
    for name, what in (("linear.safetensors", "a linear model is one of n-grams already"),
                       (STATIC, "a static model has n-grams of its own, static=128:ngrams=50000")):  # fmt: skip
        if (source / name).is_file():
            raise InputError(f"{what}; leave this step out", where)
    if context.train.more.get("labels") is not None:
        raise InputError("n-grams know one label per text only", where)


def _logits(source: Path, context: Context) -> Array:
    """Return the encoder's logits of the validation texts [texts, classes]."""
    model = load_classifier(source, context.labels, context.seed)
    precision = precisions.choose(context.precision_for("auto"), model.config.hidden_size)
    encoded, frozen = context.encode(source, context.validation.texts), source / FROZEN
    with context.progress.stage("logits of the encoder") as stage:
        found = infer(
            model, encoded, padding_id(model), precision, pooled=frozen.is_file(), stage=stage, tick=context.tick
        )
    if not frozen.is_file():
        return np.asarray(found.logits.numpy(), np.float32)
    head = load_file(frozen)
    assert found.pooled is not None
    return np.asarray(found.pooled.numpy() @ head["weight"] + head["bias"], np.float32)

"""The lowest rung: TF-IDF over the model's own word pieces and a linear classifier."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from safetensors.numpy import save_file

from lighten.compress.step import Context, ModelStep
from lighten.errors import InputError
from lighten.models.checkpoint import copy_tokenizer, read_config
from lighten.models.tokens import Ids, read_tokenizer
from lighten.pipeline.files import write_json

FILE = "linear.safetensors"


class Linear(ModelStep):
    """Logistic regression on TF-IDF of piece n-grams, one class against all others where there are more than two.

    The features are n-grams of token ids, so that the exported graph counts them itself and the model needs
    the same tokenizer file and runtime as an encoder.
    """

    name: ClassVar[str] = "linear"
    version: ClassVar[int] = 2
    last: ClassVar[bool] = True

    ngrams: int = Field(default=2, ge=1, le=3, json_schema_extra={"search": [1, 2]})
    """Longest n-gram."""
    min_count: int = Field(default=2, ge=1)
    """Texts an n-gram must occur in."""
    strengths: tuple[float, ...] = (1.0, 4.0, 16.0, 64.0)
    """Inverse regularisation strengths to try on the validation examples; where time is short the middle one first,
    and no further one that would take longer than is left: on long texts a fit takes some ten seconds."""

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write ``ngrams`` [f, n] padded with -1, ``idf`` [f], ``weight`` [f, classes] and ``bias`` [classes]."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        started, last = time.monotonic(), 0.0
        config = read_config(source)
        special = no_words(source)
        train, validation = (
            context.encode(source, context.train.texts),
            context.encode(source, context.validation.texts),
        )
        with context.progress.stage("TF-IDF + linear", total=1 + len(self.strengths)) as stage:
            vectorizer = TfidfVectorizer(
                analyzer=_analyzer(self.ngrams, special), min_df=self.min_count, sublinear_tf=True, dtype=np.float32
            )
            try:
                features = vectorizer.fit_transform(train)
            except ValueError:  # nothing is left; scikit-learn's words speak of its own parameters
                raise InputError(
                    f"no word piece occurs in {self.min_count} of the {len(train)} training texts", "step 'linear'"
                ) from None
            held_out = vectorizer.transform(validation)
            stage.update(1)
            tried: dict[float, tuple[float, Any]] = {}
            for strength in self._in_order(context.seconds):
                begun = time.monotonic()
                if tried and context.seconds is not None and begun - started + last > context.seconds:
                    break
                model = fitted(features, context.train.labels, strength, context.seed)
                tried[strength] = (float(model.score(held_out, context.validation.labels) * 100), model)
                stage.update(1 + len(tried), best=f"{max(score for score, _ in tried.values()):.1f}")
                last = time.monotonic() - begun
                context.tick()
        strength = max(tried, key=lambda c: (tried[c][0], -c))
        score, model = tried[strength]
        weight, bias = weights_of(model, len(context.labels))
        grams = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
        rows = [gram + (-1,) * (self.ngrams - len(gram)) for gram in grams]
        tensors = {
            "ngrams": np.array(rows, np.int64).reshape(len(rows), self.ngrams),
            "idf": vectorizer.idf_.astype(np.float32),
            "weight": weight,
            "bias": bias,
        }
        save_file(tensors, target / FILE)
        write_json(target / "config.json", config)
        copy_tokenizer(source, target)
        return {"features": len(rows), "strength": strength, "tried": len(tried), "best": round(score, 3)}

    def _in_order(self, seconds: float | None) -> list[float]:
        """Return the strengths in the order of trying."""
        if seconds is None:
            return list(self.strengths)
        middle = sorted(self.strengths)[len(self.strengths) // 2]
        return sorted(self.strengths, key=lambda one: one != middle)


def special_ids(tokenizer: Any) -> frozenset[int]:
    """Return the ids of [CLS], [SEP], padding and their like."""
    return frozenset(i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special)


def no_words(folder: Path) -> frozenset[int]:
    """Return the ids that are in no n-gram of a checkpoint's model: special ones, and padding where it is not."""
    return special_ids(read_tokenizer(folder)) | {int(read_config(folder).get("pad_token_id") or 0)}


def fitted(features: Any, labels: Sequence[int], strength: float, seed: int) -> Any:
    """Return the classifier of scikit-learn, fitted to ``features`` [texts, features].

    One class against the rest by dual coordinate descent (Yu, Huang and Lin 2011): three to ten times as fast as
    multinomial regression by L-BFGS, not less accurate, and with lower log loss (docs/decisions.md, 2026-11-23).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    model = LogisticRegression(C=strength, solver="liblinear", dual=True, max_iter=1000, random_state=seed)
    return (OneVsRestClassifier(model) if len(set(labels)) > 2 else model).fit(features, labels)


def weights_of(model: Any, count: int) -> tuple[Any, Any]:
    """Return weight [features, classes] and bias [classes] of what `fitted` returned, for so many classes."""
    parts = getattr(model, "estimators_", [model])
    coef, intercept = (np.concatenate([getattr(part, name) for part in parts]) for name in ("coef_", "intercept_"))
    return two_sided(coef, intercept, model.classes_, count)


def _analyzer(longest: int, special: frozenset[int]) -> Callable[[Ids], list[tuple[int, ...]]]:
    """Return the function that lists a text's n-grams; none holds a special token or reaches across one.

    The exported graph sees the special tokens, an unknown word's among them: skipping one here would teach
    n-grams that it never finds.
    """

    def grams(ids: Ids) -> list[tuple[int, ...]]:
        tokens = ids.tolist()
        all_ = (tuple(tokens[at : at + n]) for n in range(1, longest + 1) for at in range(len(tokens) - n + 1))
        return [gram for gram in all_ if special.isdisjoint(gram)]

    return grams


def two_sided(coef: Any, intercept: Any, classes: Any, count: int) -> tuple[Any, Any]:
    """Return weight [features, classes] and bias [classes] from scikit-learn's coefficients.

    Two classes have one row of coefficients there: it is split into halves of opposite sign. A class that
    never occurred in training gets a bias no logit comes near.
    """
    if len(classes) == 2:
        coef, intercept = np.concatenate([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    weight = np.zeros((coef.shape[1], count), np.float32)
    bias = np.full(count, -1e4, np.float32)
    weight[:, classes], bias[classes] = coef.T, intercept
    return weight, bias

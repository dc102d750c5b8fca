"""Two classifiers in one: the first answers what it is sure of, the second the rest.

The first is sure where the difference of its two largest logits reaches a threshold that was calibrated on validation
data. That difference is the logarithm of how many times as probable its label is as the next one. Confidence of the
first model alone is known to defer nearly as well as learnt rules where the second model is better throughout
(Jitkrittum et al. 2023, "When does confidence-based cascade deferral suffice?"); BranchyNet (Teerapittayanon et al.
2016) takes entropy and Park et al. (2015, "Big/LITTLE") the margin between the two best scores. Of these the margin
of the logits keeps its order under any temperature, so it needs no calibration of its own, and unlike a probability
near 1 it is not rounded away in 32 bits. For two classes all of them order the texts alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError
from lighten.runtime.cascade_folder import FIRST, SECOND
from lighten.runtime.classifier import Classifier
from lighten.runtime.folder import ModelFolder
from lighten.runtime.session import check_threads
from lighten.runtime.text_classifier import Answered, Prediction, TextClassifier, checked

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CascadePrediction(Prediction):
    """The answer for one text, and which model gave it; `score` is that model's.

    Attributes:
        answered_by: ``first`` or ``second``.
    """

    answered_by: Literal["first", "second"]


@dataclass(frozen=True)
class CascadeAnswered(Answered):
    """Logits of the model that answered, text by text.

    Attributes:
        passed_on: whether the second model was asked, bool [texts].
    """

    passed_on: Flags


def margins(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return by how much the largest logit is over the second largest; [texts, classes] to [texts]."""
    best = np.partition(logits, -2, axis=1)[:, -2:].astype(np.float64)
    return np.asarray(best[:, 1] - best[:, 0])


def unsure(logits: npt.NDArray[Any], threshold: float) -> Flags:
    """Return for which texts the second model is asked, bool [texts]; logits that are no numbers are never sure."""
    return ~(margins(logits) >= threshold)


class Cascade(TextClassifier):
    """Two models, cheap and good; safe to call from several threads at once.

    Attributes:
        first: is asked of every text.
        second: is asked of those that the first is not sure of; only they go to it.
        threshold: margin of the first model's logits from which on it is sure.
    """

    def __init__(self, folder: ModelFolder, *, threads: int | None = None, spinning: bool | None = None) -> None:
        check_threads(threads)
        if folder.cascade is None:
            raise InputError("this folder holds one model, not a cascade; open it with lighten.load", str(folder.path))
        self.folder = folder
        self.threads = threads if threads is not None else folder.threads
        self.spinning = spinning if spinning is not None else folder.spinning
        self.threshold = folder.cascade.threshold
        self.first = Classifier(folder.cascade.first, threads=self.threads, spinning=self.spinning)
        self.second = Classifier(folder.cascade.second, threads=self.threads, spinning=self.spinning)

    def answer(self, texts: str | Sequence[str], *, max_batch: int | None = None) -> CascadeAnswered:
        """Return logits, what was seen of each text by the model that answered, and which one that was."""
        texts = checked(texts)
        first = self.first.answer(texts, max_batch=max_batch)
        passed = unsure(first.logits, self.threshold)
        places = np.flatnonzero(passed).tolist()
        if not places:
            return CascadeAnswered(first.logits, first.tokens, first.truncated, passed)
        second = self.second.answer([texts[place] for place in places], max_batch=max_batch)
        logits, tokens, truncated = first.logits.copy(), list(first.tokens), list(first.truncated)
        logits[places] = second.logits
        for place, seen, cut in zip(places, second.tokens, second.truncated, strict=True):
            tokens[place], truncated[place] = seen, cut
        return CascadeAnswered(logits, tokens, truncated, passed)

    def predict(self, texts: str | Sequence[str], *, max_batch: int | None = None) -> list[CascadePrediction]:
        """Predict a label for each text, in order; each says which model answered. See `TextClassifier.predict`."""
        found = self.answer(texts, max_batch=max_batch)
        return [
            CascadePrediction(**vars(item), answered_by=SECOND if passed else FIRST)
            for item, passed in zip(found.predictions(self.labels), found.passed_on.tolist(), strict=True)
        ]

    def tolerance(self) -> float:
        """Return by which share of the largest logit an answer of the self-test may differ on another machine."""
        return max(self.first.tolerance(), self.second.tolerance())

    def self_test(self) -> list[str]:
        """Test each part by itself, then both together; see `TextClassifier.self_test`."""
        parts = ((FIRST, self.first), (SECOND, self.second))
        own = [f"{name}: {difference}" for name, part in parts for difference in part.self_test()]
        return [*own, *super().self_test()]

"""What every classifier of texts does, whether one model answers or two."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError
from lighten.runtime.folder import ModelFolder

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Prediction:
    """The answer for one text.

    Attributes:
        label: the most probable label.
        score: its probability.
        scores: the probability of every label.
        tokens: tokens the model saw, special tokens included; of chunks, those of all.
        truncated: whether the model did not see all of the text, as it is over the longest input.
    """

    label: str
    score: float
    scores: dict[str, float]
    tokens: int
    truncated: bool


@dataclass(frozen=True)
class Answered:
    """Logits of some texts, and what was seen of each.

    Attributes:
        logits: float32 [texts, classes].
        tokens: seen of each text.
        truncated: whether some of a text was not seen.
    """

    logits: Logits
    tokens: list[int]
    truncated: list[bool]

    def predictions(self, labels: Sequence[str]) -> list[Prediction]:
        """Return them as predictions, in order."""
        made = []
        rows = softmax(self.logits).tolist()
        for row, tokens, truncated in zip(rows, self.tokens, self.truncated, strict=True):
            best = max(range(len(row)), key=row.__getitem__)
            named = dict(zip(labels, row, strict=True))
            made.append(Prediction(labels[best], row[best], named, tokens, truncated))
        return made


class TextClassifier(ABC):
    """Predicts labels of texts; safe to call from several threads at once.

    Attributes:
        folder: what the model folder says.
        threads: of one prediction.
        spinning: whether idle threads spin.
    """

    folder: ModelFolder
    threads: int
    spinning: bool

    @abstractmethod
    def answer(self, texts: str | Sequence[str], *, max_batch: int | None = None) -> Answered:
        """Return logits and what was seen of each text; see `predict`."""

    @abstractmethod
    def tolerance(self) -> float:
        """Return by which share of the largest logit an answer of the self-test may differ on another machine."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        return self.folder.labels

    def predict(self, texts: str | Sequence[str], *, max_batch: int | None = None) -> Sequence[Prediction]:
        """Predict a label for each text, in order.

        Args:
            texts: one text or a list of them; an empty text is predicted like any other.
            max_batch: most texts (or chunks of texts) per run of a graph; None for as many as are quick.

        Raises:
            InputError: something other than text.
        """
        return self.answer(texts, max_batch=max_batch).predictions(self.labels)

    def logits(self, texts: str | Sequence[str], *, max_batch: int | None = None) -> Logits:
        """Return the logits, float32 [texts, classes]; see `predict`."""
        return self.answer(texts, max_batch=max_batch).logits

    def verify(self) -> None:
        """Compare every file with its recorded checksum; InputError where one differs."""
        self.folder.verify()

    def self_test(self) -> list[str]:
        """Predict the texts kept in the folder and compare with what they gave where the model was made.

        Texts are run one by one. fp32 logits must agree within a thousandth of the largest logit; integer
        kernels round differently from CPU to CPU, so an int8 graph may differ by a twentieth.

        Returns:
            One sentence per difference; empty when all agree.
        """
        tolerance, differences = self.tolerance(), []
        for number, case in enumerate(self.folder.self_test):
            expected = np.asarray(case["logits"], dtype=np.float32)
            found = self.logits([case["text"]])[0]
            label = self.labels[int(found.argmax())]
            if label != case["label"]:
                differences.append(f"self-test {number}: {case['label']!r} expected, {label!r} found")
            elif expected.shape != found.shape or not np.all(
                np.abs(found - expected) <= tolerance * max(1.0, float(np.abs(expected).max()))
            ):
                differences.append(f"self-test {number}: logits {expected.tolist()} expected, {found.tolist()} found")
        return differences


def checked(texts: str | Sequence[str]) -> list[str]:
    """Return the texts as a list.

    Raises:
        InputError: something other than text.
    """
    if isinstance(texts, str):
        return [texts]
    if not isinstance(texts, (list, tuple)):
        raise InputError(f"expected a text or a list of texts, not {type(texts).__name__}")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"expected a text, not {type(text).__name__} {text!r:.40}", f"text {index}")
    return list(texts)


def softmax(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the probabilities, [texts, classes]."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

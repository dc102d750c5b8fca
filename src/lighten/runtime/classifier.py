"""A classifier loaded from a model folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError, LightenError
from lighten.runtime.folder import CLASSIFICATION, TOKENIZER, ModelFolder, read_folder
from lighten.runtime.long_texts import pool_by_text, read_long
from lighten.runtime.session import check_threads, is_quantised, open_session
from lighten.runtime.tokens import Ids, Tokenizer, Tokens, pad, plan_batches

Logits = npt.NDArray[np.float32]

TOKEN_BUDGET = 8192
"""Padded tokens of one batch; larger ones gain no speed on a CPU and cost memory."""


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


def load(path: str | Path, *, threads: int | None = None, spinning: bool | None = None) -> Classifier:
    """Load a model folder.

    Args:
        path: the folder with ``lighten.json``.
        threads: threads that one prediction may use; None for what the folder says.
        spinning: whether idle threads spin; None for what the folder says. See `session.open_session`.

    Raises:
        InputError: the folder is missing, incomplete or of another format.
    """
    return Classifier(read_folder(path), threads=threads, spinning=spinning)


class Classifier:
    """Predicts labels; safe to call from several threads at once.

    An int8 graph scales its activations per call, so the logits of a text depend a little on the texts it
    shares a batch with; pass ``max_batch=1`` where the last digits matter.
    """

    def __init__(self, folder: ModelFolder, *, threads: int | None = None, spinning: bool | None = None) -> None:
        check_threads(threads)
        if folder.task != CLASSIFICATION:
            raise InputError(
                f"this model is for {folder.task}; load it with lighten.runtime.load_generator", str(folder.path)
            )
        self.folder = folder
        self.threads = threads if threads is not None else folder.threads
        self.spinning = spinning if spinning is not None else folder.spinning
        self.long = read_long(folder)
        self._tokenizer = Tokenizer(folder.path / TOKENIZER, folder.max_tokens, folder.lowercase, self.long)
        self._session = open_session(folder.graph, self.threads, self.spinning)
        self._inputs = {item.name for item in self._session.get_inputs()}
        outputs = [item.name for item in self._session.get_outputs()]
        unknown = self._inputs - {"input_ids", "attention_mask", "token_type_ids"}
        if unknown or "input_ids" not in self._inputs or "logits" not in outputs:
            found = f"inputs {sorted(self._inputs)}, outputs {outputs}"
            raise InputError(
                f"expected input_ids, attention_mask and logits; the graph has {found}", str(folder.graph)
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        return self.folder.labels

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""
        return self._tokenizer.vocabulary

    def predict(self, texts: str | Sequence[str], *, max_batch: int | None = None) -> list[Prediction]:
        """Predict a label for each text, in order.

        Args:
            texts: one text or a list of them; an empty text is predicted like any other.
            max_batch: most texts (or chunks of texts) per run of the graph; None for as many as fit `TOKEN_BUDGET`.

        Raises:
            InputError: something other than text.
        """
        tokens = self._tokenizer(_texts(texts))
        scores = _softmax(self._logits(tokens, max_batch))
        predictions = []
        for row, item in zip(scores.tolist(), tokens, strict=True):
            best = max(range(len(row)), key=row.__getitem__)
            named = dict(zip(self.labels, row, strict=True))
            seen = sum(len(ids) for ids in item.sequences)
            predictions.append(Prediction(self.labels[best], row[best], named, seen, item.truncated))
        return predictions

    def logits(self, texts: str | Sequence[str], *, max_batch: int | None = None) -> Logits:
        """Return the logits, float32 [texts, classes]; see `predict`."""
        return self._logits(self._tokenizer(_texts(texts)), max_batch)

    def tokenize(self, texts: str | Sequence[str]) -> list[Ids]:
        """Return the token ids of each text, int64, fitted to the longest input (of chunks the first), not padded."""
        return [item.ids for item in self._tokenizer(_texts(texts))]

    def run(self, input_ids: Ids, attention_mask: Ids) -> Logits:
        """Run the graph once.

        Args:
            input_ids: int64 [batch, tokens].
            attention_mask: int64 [batch, tokens], 1 for tokens and 0 for padding.

        Returns:
            float32 [batch, classes].
        """
        feeds: dict[str, Any] = {"input_ids": input_ids}
        if "attention_mask" in self._inputs:
            feeds["attention_mask"] = attention_mask
        if "token_type_ids" in self._inputs:
            feeds["token_type_ids"] = np.zeros_like(input_ids)
        try:
            logits: Logits = self._session.run(["logits"], feeds)[0]
        except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
            shape = "x".join(str(size) for size in input_ids.shape)
            reason = " ".join(str(error).split())[:300]
            raise LightenError(f"{self.folder.graph}: the graph failed on input of shape {shape}: {reason}") from None
        if logits.ndim != 2 or logits.shape[1] != len(self.labels):
            raise InputError(f"{len(self.labels)} labels, but logits of shape {logits.shape}", str(self.folder.graph))
        return logits

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
        tolerance = 0.05 if is_quantised(self.folder.graph) else 1e-3
        differences = []
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

    def _logits(self, tokens: list[Tokens], max_batch: int | None) -> Logits:
        sequences = [ids for item in tokens for ids in item.sequences]
        logits = np.empty((len(sequences), len(self.labels)), dtype=np.float32)
        for batch in plan_batches([len(ids) for ids in sequences], TOKEN_BUDGET, max_batch):
            logits[batch] = self.run(*pad([sequences[index] for index in batch], self.folder.pad_token_id))
        if len(sequences) == len(tokens):
            return logits
        owner = np.repeat(np.arange(len(tokens)), [len(item.sequences) for item in tokens])
        return pool_by_text(logits, owner, self.long.pool).astype(np.float32)


def _texts(texts: str | Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        return [texts]
    if not isinstance(texts, (list, tuple)):
        raise InputError(f"expected a text or a list of texts, not {type(texts).__name__}")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"expected a text, not {type(text).__name__} {text!r:.40}", f"text {index}")
    return list(texts)


def _softmax(logits: Logits) -> npt.NDArray[np.float64]:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

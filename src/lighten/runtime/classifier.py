"""A classifier loaded from a model folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lighten.errors import InputError, LightenError
from lighten.runtime.folder import CLASSIFICATION, LANGUAGE, SUMMARIES, TOKENIZER, ModelFolder, read_folder
from lighten.runtime.long_texts import pool_by_text, read_long
from lighten.runtime.session import check_threads, is_quantised, open_session
from lighten.runtime.text_classifier import Answered, Logits, Prediction, TextClassifier, checked
from lighten.runtime.tokens import Ids, Tokenizer, Tokens, pad, plan_batches

if TYPE_CHECKING:
    from lighten.runtime.cascade import Cascade

__all__ = ["TOKEN_BUDGET", "Classifier", "Logits", "Prediction", "load"]

LOADERS = {LANGUAGE: "load_generator", SUMMARIES: "load_summarizer"}
"""Of the models that are no classifiers."""
TOKEN_BUDGET = 8192
"""Padded tokens of one batch; larger ones gain no speed on a CPU and cost memory."""


def load(path: str | Path, *, threads: int | None = None, spinning: bool | None = None) -> Classifier | Cascade:
    """Load a model folder.

    Args:
        path: the folder with ``lighten.json``.
        threads: threads that one prediction may use; None for what the folder says.
        spinning: whether idle threads spin; None for what the folder says. See `session.open_session`.

    Returns:
        A `Classifier`, or a `Cascade` where the folder holds two models: both are a `TextClassifier`.

    Raises:
        InputError: the folder is missing, incomplete or of another format.
    """
    folder = read_folder(path)
    if folder.cascade is not None:
        from lighten.runtime.cascade import Cascade

        return Cascade(folder, threads=threads, spinning=spinning)
    return Classifier(folder, threads=threads, spinning=spinning)


class Classifier(TextClassifier):
    """One model that predicts labels; safe to call from several threads at once.

    An int8 graph scales its activations per call, so the logits of a text depend a little on the texts it
    shares a batch with; pass ``max_batch=1`` where the last digits matter.
    """

    def __init__(self, folder: ModelFolder, *, threads: int | None = None, spinning: bool | None = None) -> None:
        check_threads(threads)
        if folder.task != CLASSIFICATION:
            raise InputError(
                f"this model is for {folder.task}; load it with lighten.runtime.{LOADERS[folder.task]}",
                str(folder.path),
            )
        if folder.cascade is not None:
            raise InputError("this folder holds two models; open it with lighten.load", str(folder.path))
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
    def vocabulary(self) -> int:
        """Number of token ids."""
        return self._tokenizer.vocabulary

    def answer(self, texts: str | Sequence[str], *, max_batch: int | None = None) -> Answered:
        """Return logits and what was seen of each text; see `predict`.

        `max_batch` of None takes as many texts as fit `TOKEN_BUDGET`.
        """
        tokens = self._tokenizer(checked(texts))
        seen = [sum(len(ids) for ids in item.sequences) for item in tokens]
        return Answered(self._logits(tokens, max_batch), seen, [item.truncated for item in tokens])

    def tokenize(self, texts: str | Sequence[str]) -> list[Ids]:
        """Return the token ids of each text, int64, fitted to the longest input (of chunks the first), not padded."""
        return [item.ids for item in self._tokenizer(checked(texts))]

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

    def tolerance(self) -> float:
        """Return by which share of the largest logit an answer of the self-test may differ on another machine."""
        return 0.05 if is_quantised(self.folder.graph) else 1e-3

    def _logits(self, tokens: list[Tokens], max_batch: int | None) -> Logits:
        sequences = [ids for item in tokens for ids in item.sequences]
        logits = np.empty((len(sequences), len(self.labels)), dtype=np.float32)
        for batch in plan_batches([len(ids) for ids in sequences], TOKEN_BUDGET, max_batch):
            logits[batch] = self.run(*pad([sequences[index] for index in batch], self.folder.pad_token_id))
        if len(sequences) == len(tokens):
            return logits
        owner = np.repeat(np.arange(len(tokens)), [len(item.sequences) for item in tokens])
        return pool_by_text(logits, owner, self.long.pool).astype(np.float32)

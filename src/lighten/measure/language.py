"""How well a language model predicts text it has not seen: perplexity with an interval over documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError
from lighten.measure.statistics import RESAMPLES, Interval, interval_of
from lighten.runtime.generate import Generator
from lighten.runtime.tokens import Ids

Floats = npt.NDArray[np.float64]
LogProbabilities = Callable[[Ids], Floats]
"""From the ids of a text [tokens] to the logarithms of the probabilities of all but the first [tokens - 1]."""


@dataclass(frozen=True)
class TextLosses:
    """Of each document the sum of the negative log-probabilities (nats) and the number of predicted tokens."""

    sums: Floats
    tokens: npt.NDArray[np.int64]

    @property
    def perplexity(self) -> float:
        """exp(mean loss per predicted token)."""
        return float(np.exp(self.sums.sum() / self.tokens.sum()))


def text_losses(
    predict: LogProbabilities,
    encoded: Sequence[Ids],
    window: int,
    progress: Callable[[float], None] | None = None,
) -> TextLosses:
    """Let a model read documents, in windows without overlap.

    Args:
        predict: the model.
        encoded: token ids of each document; those of a single token predict nothing and are left out.
        window: longest text the model is given at once. The first token of each window is given, not predicted.
        progress: called with the share of the documents that is done.

    Raises:
        InputError: no document has two tokens, or a window holds less than two.
    """
    if window < 2:
        raise InputError(f"a window must hold at least 2 tokens but holds {window}")
    sums, tokens = [], []
    for number, ids in enumerate(encoded, 1):
        total, count = 0.0, 0
        for start in range(0, len(ids) - 1, window):
            found = predict(np.asarray(ids[start : start + window], np.int64)) if len(ids) - start > 1 else np.zeros(0)
            total, count = total - float(found.sum()), count + len(found)
        if count:
            sums.append(total)
            tokens.append(count)
        if progress is not None:
            progress(number / len(encoded))
    if not tokens:
        raise InputError("no document has two tokens; there is nothing to predict")
    return TextLosses(np.array(sums), np.array(tokens, np.int64))


def folder_losses(
    model: Generator, texts: Sequence[str], window: int = 1024, progress: Callable[[float], None] | None = None
) -> TextLosses:
    """Return the losses of an exported folder in ONNX Runtime; `window` and `progress` are those of `text_losses`."""
    encoded = [model.encode(text) for text in texts if text]
    return text_losses(model.log_probabilities, encoded, min(window, model.folder.max_tokens), progress)


def checkpoint_losses(folder: Path, texts: Sequence[str], window: int = 1024) -> TextLosses:
    """Return the losses of a transformers checkpoint in torch, in fp32."""
    from lighten.measure.language_peers import load_peer
    from lighten.runtime.tokens import open_tokenizer

    tokenizer, model = open_tokenizer(folder / "tokenizer.json"), load_peer(folder)
    encoded = [np.array(tokenizer.encode(text).ids, np.int64) for text in texts if text]
    return text_losses(model.log_probabilities, encoded, window)


def perplexity_interval(losses: TextLosses, seed: int, resamples: int = RESAMPLES) -> Interval:
    """Return the perplexity with its bootstrap interval over documents."""
    drawn = np.random.default_rng(seed).integers(0, len(losses.sums), (resamples, len(losses.sums)))
    draws = np.exp(losses.sums[drawn].sum(1) / losses.tokens[drawn].sum(1))
    return interval_of(losses.perplexity, draws)


def perplexity_ratio(model: TextLosses, reference: TextLosses, seed: int, resamples: int = RESAMPLES) -> Interval:
    """Return the perplexity of a model over that of a reference on the same documents, drawn in pairs.

    What makes a document hard for both cancels, so the interval is much narrower than two intervals side by side.
    With different tokenizers, losses are per token of the reference.

    Raises:
        ValueError: different numbers of documents.
    """
    if len(model.sums) != len(reference.sums):
        raise ValueError(f"the same documents expected; got {len(model.sums)} and {len(reference.sums)}")
    difference, tokens = model.sums - reference.sums, reference.tokens
    drawn = np.random.default_rng(seed).integers(0, len(tokens), (resamples, len(tokens)))
    draws = np.exp(difference[drawn].sum(1) / tokens[drawn].sum(1))
    return interval_of(float(np.exp(difference.sum() / tokens.sum())), draws)


def as_json(losses: TextLosses, seed: int) -> dict[str, Any]:
    """Return what result files keep: value, interval, documents, predicted tokens."""
    found = perplexity_interval(losses, seed)
    interval = [round(found.low, 4), round(found.high, 4)]
    documents, tokens = len(losses.sums), int(losses.tokens.sum())
    return {"perplexity": round(found.value, 4), "ci95": interval, "documents": documents, "tokens": tokens}

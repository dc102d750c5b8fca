"""A classifier without attention: the weighted mean of token vectors and a small network on top.

The vectors are what an encoder says of each piece alone, reduced by principal components (model2vec, Minish Lab 2024);
weights begin as smooth inverse frequencies (Arora et al. 2017), and all of it is trained further on the task. Pairs of
neighbouring tokens may have vectors of their own, found by hashing (fastText, Joulin et al. 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lighten.errors import InputError
from lighten.models.encoder import Dense
from lighten.models.layout import Array
from lighten.models.tokens import Ids

FILE = "static.safetensors"
"""Marks a checkpoint folder as a static model."""
NOTE = "a static model: the ONNX graph is the model; plain transformers loads its tokenizer only"
PRIME = 2_654_435_761
"""Far from a multiple of every number of buckets that one would ask for: 1,000,003 modulo 20,000 is 3, and pairs of
neighbouring ids would share buckets. Times an id it stays inside of int64."""
SMOOTHING = 1e-3
"""Tokens as frequent as this weigh half."""
SPECIAL_WEIGHT = 1e-3
"""Of [CLS], [SEP] and their like to begin with: they are in every text."""
ROWS = 4096


@dataclass(frozen=True)
class Static:
    """A whole classifier.

    Attributes:
        vectors: of the tokens [vocabulary, width].
        weights: of the tokens in the mean, above zero [vocabulary].
        ngrams: vectors of hashed pairs [buckets, width], or None.
        head: dense layers on the mean.
    """

    vectors: Array
    weights: Array
    ngrams: Array | None
    head: tuple[Dense, ...]


def token_vectors(
    model: Any, front: Sequence[int], back: Sequence[int], tick: Callable[[int], None] = lambda done: None
) -> Array:
    """Return the mean of the last hidden states of every piece alone, between its special tokens [vocabulary, hidden].

    Args:
        model: a transformers encoder, with or without a head; left in evaluation mode.
        front: ids before a text.
        back: ids after it.
        tick: told how many pieces are done.
    """
    import torch

    model.eval()
    count = int(model.get_input_embeddings().num_embeddings)
    found = []
    with torch.no_grad():
        for start in range(0, count, 512):
            pieces = torch.arange(start, min(start + 512, count))[:, None]
            ends = [torch.tensor([list(ids)], dtype=torch.int64).expand(len(pieces), -1) for ids in (front, back)]
            ids = torch.cat([ends[0], pieces, ends[1]], 1)
            states = model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            found.append(states.float().mean(1).numpy())
            tick(start + len(pieces))
    return np.concatenate(found)


def principal(vectors: Array, width: int) -> tuple[Array, float]:
    """Return the vectors along the directions in which they vary most [rows, width], and their share of the variance.

    They are centred, and scaled as a whole so that numbers are about 1.

    Raises:
        ValueError: `width` is not between 1 and the present width.
    """
    if not 1 <= width <= vectors.shape[1]:
        raise ValueError(f"width must be between 1 and {vectors.shape[1]} but got {width}")
    mean = vectors.mean(0, dtype=np.float64)
    spread = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors), ROWS):
        part = vectors[start : start + ROWS] - mean
        spread += part.T @ part
    values, directions = np.linalg.eigh(spread)
    chosen = directions[:, ::-1][:, :width]
    # The sign of a direction is arbitrary; fixed, it is the same on every machine.
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(0), np.arange(width)])
    total, kept = float(np.maximum(values, 0).sum()), float(np.maximum(values[::-1][:width], 0).sum())
    scale = np.sqrt(kept / (len(vectors) * width)) or 1.0
    return ((vectors - mean) @ (chosen / scale)).astype(np.float32), kept / total if total else 1.0


def frequency_weights(encoded: Sequence[Ids], vocabulary: int, special: Sequence[int]) -> Array:
    """Return ``a / (a + p)`` by token [vocabulary], `p` its share of the texts' tokens; special ones weigh little."""
    counts = np.bincount(np.concatenate([np.zeros(0, np.int32), *encoded]), minlength=vocabulary).astype(np.float64)
    counts[list(special)] = 0
    weights = SMOOTHING / (SMOOTHING + counts / max(counts.sum(), 1.0))
    weights[list(special)] = SPECIAL_WEIGHT
    return weights.astype(np.float32)


def hashed_pairs(ids: Any, buckets: int) -> Any:
    """Return the bucket of each token with the one after it [..., tokens - 1], for arrays and tensors of int64."""
    return (ids[..., :-1] * PRIME + ids[..., 1:]) % buckets


def write_static(folder: Path, static: Static) -> None:
    """Write ``static.safetensors``: ``vectors``, ``weights``, ``ngrams``, ``head.{i}.weight``, ``head.{i}.bias``."""
    tensors = {"vectors": static.vectors, "weights": static.weights}
    if static.ngrams is not None:
        tensors["ngrams"] = static.ngrams
    for index, dense in enumerate(static.head):
        tensors |= {f"head.{index}.weight": dense.weight, f"head.{index}.bias": dense.bias}
    save_file({name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()}, folder / FILE)


def read_static(folder: Path) -> Static:
    """Read what `write_static` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    file = folder / FILE
    try:
        tensors = load_file(file)
        count = sum(name.startswith("head.") for name in tensors) // 2
        head = tuple(
            Dense(tensors[f"head.{i}.weight"], tensors[f"head.{i}.bias"], "relu" if i < count - 1 else "")
            for i in range(count)
        )
        return Static(tensors["vectors"], tensors["weights"], tensors.get("ngrams"), head)
    except KeyError as error:
        raise InputError(f"the tensor {error} is missing", str(file)) from None
    except (OSError, SafetensorError) as error:
        raise InputError(f"the static model cannot be read: {error}", str(file)) from None

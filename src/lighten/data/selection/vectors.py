"""Texts as points: TF-IDF and truncated SVD, or the embeddings of a model, put on a grid so that cosines are exact."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError
from lighten.pipeline.files import write_bytes

Array = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Embed = Callable[[Sequence[str]], Array]

WIDTH = 128
"""Dimensions kept of TF-IDF."""
GRID = 2048
"""Steps of the grid between 0 and 1.

Vectors of about this length hold whole numbers, and every partial sum of a product of two of them stays below 2 ** 24:
float32 adds them without rounding. So a cosine is the same in any block, in any order and on any number of threads,
and a lazy algorithm compares the same numbers as a naive one.
"""
BLOCK = 512
_FITTED = 50_000
_VOCABULARY = 50_000
_VERSION = 1
_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
# Scripts without blanks between words: every character is a word, and pairs of them are features too.
WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def vectors_of(
    texts: Sequence[str], model: str | None = None, cache: Path | None = None, base: Path | None = None
) -> Array:
    """Return a point for each text [rows, width]: whole numbers, of length `GRID`, or zero where a text has no words.

    Args:
        texts: any texts.
        model: source of an encoder whose mean last hidden states are taken; None takes TF-IDF and truncated SVD.
        cache: folder that keeps the points, by the content of all texts and the model.
        base: folder that a relative source of the model is looked for in first.

    Raises:
        InputError: the model cannot be had.
    """
    embed: Embed = text_vectors
    identity = f"tf-idf {_VERSION}"
    if model is not None:
        from lighten.data.semantic_step import embeddings, model_folder
        from lighten.sources import resolve

        folder = model_folder(model, base)
        identity = f"{resolve(model, base=base).fingerprint} {_VERSION}"

        def embed(texts: Sequence[str]) -> Array:
            return embeddings(folder, texts)

    if cache is None:
        return on_grid(embed(texts))
    file = cache / f"vectors-{_digest(texts, identity)}.npy"
    if file.is_file():
        try:
            kept: Array = np.load(file, allow_pickle=False)
        except (ValueError, EOFError, OSError):
            kept = np.empty((0, 0), np.float32)  # damaged: made anew
        if kept.ndim == 2 and len(kept) == len(texts):
            return kept
    points = on_grid(embed(texts))
    content = io.BytesIO()
    np.save(content, points, allow_pickle=False)
    try:
        write_bytes(file, content.getvalue())
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", str(cache)) from None
    return points


def on_grid(vectors: npt.NDArray[np.floating[Any]]) -> Array:
    """Scale vectors [rows, width] to the length `GRID` and round them to whole numbers; zero ones stay zero."""
    wide = np.asarray(vectors, np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.rint(wide * (GRID / np.where(length > 1e-9, length, np.inf))).astype(np.float32)


def cosine(products: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the cosines that products of points stand for."""
    return np.clip(np.asarray(products, np.float64) / GRID**2, -1.0, 1.0)


def text_vectors(texts: Sequence[str]) -> Array:
    """Return TF-IDF of words and pairs of words after truncated SVD [rows, width at most `WIDTH`].

    Both are fitted on a random part where there are many rows. This is latent semantic analysis (Deerwester et al.,
    "Indexing by Latent Semantic Analysis", 1990).
    """
    from sklearn.decomposition import TruncatedSVD

    matrix = word_matrix(texts)
    sample = _sample(len(texts))
    width = min(WIDTH, matrix.shape[1] - 1, len(sample) - 1)
    if width < 2:
        dense: Array = matrix.toarray()
        return dense
    with one_thread(), np.errstate(invalid="ignore"):  # copies of one text have no variance
        svd = TruncatedSVD(width, random_state=0).fit(matrix if len(sample) == len(texts) else matrix[sample])
        reduced: Array = svd.transform(matrix).astype(np.float32)
    return reduced


def word_matrix(texts: Sequence[str]) -> Any:
    """Return TF-IDF of words and pairs of words [rows, features], sparse, rows of length one or zero."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

    sample = [texts[row] for row in _sample(len(texts)).tolist()]
    words: dict[str, Any] = {
        "lowercase": True,
        "tokenizer": WORD.findall,
        "token_pattern": None,
        "ngram_range": (1, 2),
        "sublinear_tf": True,
        "max_features": _VOCABULARY,
        "dtype": np.float32,
    }
    for fewest in (2, 1) if len(texts) > 50 else (1,):
        try:
            return TfidfVectorizer(min_df=fewest, **words).fit(sample).transform(texts)
        except ValueError:  # no word, or none that occurs twice
            continue
    return csr_matrix((len(texts), 1), dtype=np.float32)


def _sample(rows: int) -> Numbers:
    if rows <= _FITTED:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, _FITTED, replace=False))


def one_thread() -> AbstractContextManager[Any]:
    """Return a context in which products run on one thread, for floating-point results that are the same anywhere."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)  # type: ignore[no-any-return]


def _digest(texts: Sequence[str], identity: str) -> str:
    whole = hashlib.blake2b(identity.encode(), digest_size=12)
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        whole.update(len(content).to_bytes(8, "little"))
        whole.update(content)
    return whole.hexdigest()

"""Texts longer than a model's limit, fitted for training as the runtime fits them for serving; always counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from lighten.models.tokens import Ids
from lighten.pipeline.files import read_json, write_json
from lighten.runtime.cut import Cutter
from lighten.runtime.frequencies import FILE, count_words, read_frequencies
from lighten.runtime.long_texts import WAYS, Long, first_of, pool_by_text

__all__ = ["WAYS", "Fitted", "Index", "Long", "fit_texts", "long_for", "pool_by_text", "read_note", "write_note"]

NOTE = "long_texts.json"
"""Beside the weights of a checkpoint: what becomes of long texts, for the export."""
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """Texts that fit.

    Attributes:
        encoded: token ids per sequence, none longer than the limit.
        owner: which text each sequence comes from [sequences], ascending; more than one only of chunked texts.
        cut: texts that were over the limit.
        lost: tokens that are in no sequence (chunks lose none).
    """

    encoded: list[Ids]
    owner: Index
    cut: int
    lost: int

    def first(self) -> Index:
        """Return which sequence is the first one of each text."""
        return first_of(self.owner)

    def inherit(self, labels: npt.ArrayLike) -> npt.NDArray[np.generic]:
        """Return each sequence's label: that of its text."""
        return np.asarray(labels)[self.owner]


def fit_texts(
    encoded: Sequence[Ids],
    limit: int,
    long: Long | str = "truncate",
    opening: int = 1,
    closing: int = 1,
    texts: Sequence[str] | None = None,
    tokenizer: Tokenizer | None = None,
) -> Fitted:
    """Make every text fit into `limit` tokens; see `lighten.runtime.long_texts.Long` for the ways.

    Special tokens at both ends stay with every sequence; chunks inherit their text's label and their answers are
    pooled (`pool_by_text`).

    Args:
        encoded: untruncated token ids per text, special tokens included.
        limit: tokens per sequence, special ones included.
        long: how.
        opening: special tokens in front of each text.
        closing: special tokens behind each text.
        texts: that the ids are of, for the ways that look at sentences.
        tokenizer: that made the ids, for the same ways; its truncation is off.

    Raises:
        InputError: an unknown way, or a limit that leaves no room.
    """
    cut = Cutter(tokenizer, limit, Long.named(long) if isinstance(long, str) else long, opening, closing)
    sequences: list[Ids] = []
    owner: list[int] = []
    over = lost = 0
    for number, ids in enumerate(encoded):
        parts, gone = cut(ids, "" if texts is None else texts[number])
        sequences += [part.astype(np.int32, copy=False) for part in parts]
        owner += [number] * len(parts)
        over, lost = over + (len(ids) > limit), lost + gone
    return Fitted(sequences, np.array(owner, np.int64), over, lost)


def long_for(way: str, texts: Sequence[str]) -> Long:
    """Return one of `WAYS`, with the document frequencies of the training texts where it needs them."""
    return Long.named(way, count_words(texts) if way == "sentences" else None)


def write_note(folder: Path, long: Long, limit: int | None = None) -> None:
    """Write into a checkpoint folder what becomes of long texts.

    Args:
        folder: of the checkpoint.
        long: the way; the lack of a note means ``truncate``, so that one without a limit writes none.
        limit: tokens of a sequence as the model learned them, where it could read more.
    """
    if long.strategy == "truncate" and limit is None:
        return
    write_json(folder / NOTE, long.to_dict() | ({} if limit is None else {"max_tokens": limit}))
    if long.frequencies is not None:
        write_json(folder / FILE, long.frequencies.to_dict())


def read_limit(folder: Path) -> int | None:
    """Return the tokens of a sequence that a checkpoint or an exported model learned; None where nothing says so."""
    limit = _said(folder).get("max_tokens")
    return limit if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0 else None


def _said(folder: Path) -> dict[str, Any]:
    """Return what the note says, else the description of an exported model folder, else nothing."""
    if (folder / NOTE).is_file():
        return dict(read_json(folder / NOTE))
    try:
        preprocessing = read_json(folder / "lighten.json")["preprocessing"]
        long = preprocessing.get("long") or {}
        # Where longer texts are cut off, the limit is often no more than what the texts of that time needed.
        return {**long, "max_tokens": preprocessing.get("max_tokens")} if long else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # an ordinary checkpoint of transformers


def read_note(folder: Path) -> Long:
    """Return what the note in a checkpoint folder says, or an exported model folder; ``truncate`` where neither is.

    Raises:
        InputError: the note or the document frequencies are damaged.
    """
    said = {key: value for key, value in _said(folder).items() if key != "max_tokens"}
    if not said:
        return Long()
    wanted = said.get("strategy") == "sentences"
    return Long.from_dict(said, read_frequencies(folder / FILE) if wanted else None)

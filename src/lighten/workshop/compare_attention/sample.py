"""The token ids that agreement is judged on: rows of the user's texts, or random tokens where there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.checkpoint import weight_files
from lighten.models.tokens import read_tokenizer, special_ends
from lighten.progress import Progress

MOST_ROWS = 2000
"""Rows that are tokenised; of more, as many are drawn."""
FIRST_WORD = 10
"""Ids below it are special tokens in most vocabularies, padding among them; random tokens are drawn from it on."""


@dataclass(frozen=True)
class Drawn:
    """Sequences of one length.

    Attributes:
        ids: of so many tokens each, special ones included.
        joined: how many of them are several rows one after the other, because single rows are too short.
    """

    ids: list[list[int]]
    joined: int = 0


class RandomTokens:
    """Sequences of tokens drawn evenly from a vocabulary, as the measurements of time have."""

    source = None

    def __init__(self, config: Mapping[str, Any], seed: int) -> None:
        self.vocabulary, self.seed = int(config["vocab_size"]), seed

    def draw(self, tokens: int, count: int) -> Drawn:
        """Return so many sequences of so many tokens."""
        random = np.random.default_rng((self.seed, tokens))
        low = min(FIRST_WORD, self.vocabulary - 1)
        return Drawn([random.integers(low, self.vocabulary, tokens).tolist() for _ in range(count)])


class Rows:
    """Sequences cut from texts.

    Args:
        texts: in the order in which they are to be used.
        model: folder with the tokenizer.
        source: what the texts are called.
    """

    def __init__(self, texts: Sequence[str], model: Path, source: str) -> None:
        self.source = source
        tokenizer = read_tokenizer(model)
        opening, closing = special_ends(tokenizer)
        ends = tokenizer.encode("a").ids
        self.opening, self.closing = ends[:opening], ends[len(ends) - closing :]
        encoded = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        self.rows = [item.ids for item in encoded]

    def draw(self, tokens: int, count: int) -> Drawn:
        """Return up to `count` sequences of exactly `tokens`; fewer, or none, where the texts are used up.

        Rows that are long enough come first, cut at the end as every truncation does. Of the others, neighbours are
        joined.
        """
        room = max(1, tokens - len(self.opening) - len(self.closing))
        whole = [row[:room] for row in self.rows if len(row) >= room][:count]
        joined: list[list[int]] = []
        growing: list[int] = []
        for row in (row for row in self.rows if len(row) < room):
            if len(whole) + len(joined) == count:
                break
            growing = growing + row
            if len(growing) >= room:
                joined.append(growing[:room])
                growing = []
        return Drawn([[*self.opening, *row, *self.closing][:tokens] for row in whole + joined], len(joined))


def read_rows(data: str, column: str, model: Path, seed: int, progress: Progress) -> Rows:
    """Read texts in an order drawn from the seed.

    Args:
        data: source of a table.
        column: of the text.
        model: folder with the tokenizer.
        seed: of the order.
        progress: where to report.

    Raises:
        InputError: a source or column that is not there, no row with a text, or no tokenizer.
    """
    from lighten.data.columns import Columns
    from lighten.data.load import drop_unusable, load

    columns = Columns(column, None)
    table, _ = drop_unusable(load(data, columns, None, progress), columns)
    order = np.random.default_rng(seed).permutation(table.height)[:MOST_ROWS]
    return Rows(table[column].gather(order).to_list(), model, data)


def sample_of(
    folder: Path | None, config: dict[str, Any], data: str | None, text: str, seed: int, progress: Progress
) -> tuple[Rows | RandomTokens | None, str]:
    """Return where the texts come from; None, and why, where there are no weights that could agree.

    Args:
        folder: of the model; None where only a shape is measured.
        config: of the model.
        data: source of texts; random tokens when left out.
        text: their column.
        seed: of what is drawn.
        progress: where to report.

    Raises:
        InputError: texts for no weights, or see `read_rows`.
    """
    why = ""
    if folder is None:
        why = "agreement is that of a model's weights: name a model with --model"
    elif not weight_files(folder):
        why = "agreement is that of a model's weights: the model has no model.safetensors"
    if why and data is not None:
        raise InputError(why, f"--data {data}")
    if why or folder is None:
        return None, why
    if data is not None:
        return read_rows(data, text, folder, seed, progress), ""
    return RandomTokens(config, seed), ""

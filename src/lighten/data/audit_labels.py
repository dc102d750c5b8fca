"""How labels are distributed, and whether the parts agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl

FEW = 10
"""Rows of a label below which nothing can be said about it."""


def label_facts(tables: Mapping[str, pl.DataFrame], label: str) -> dict[str, Any]:
    """Return the counts of labels per part and how uneven they are.

    Args:
        tables: usable rows by part; ``train`` is one of them.
        label: the label column.

    Returns:
        ``counts`` by part and label, most frequent first; of training: ``majority_share``, ``imbalance`` (most over
        least frequent), ``effective`` (labels that an even distribution of the same entropy has), ``rare`` (labels
        with fewer than `FEW` rows); ``unseen`` (labels of other parts that training lacks, with their rows).
    """
    counts = {part: _counted(table, label) for part, table in tables.items()}
    train = counts["train"]
    rows = sum(train.values())
    entropy = -sum(count / rows * math.log(count / rows) for count in train.values())
    unseen = Counter[str]()
    for part, found in counts.items():
        if part != "train":
            unseen.update({name: count for name, count in found.items() if name not in train})
    return {
        "counts": counts,
        "majority_share": round(max(train.values()) / rows, 4),
        "imbalance": round(max(train.values()) / min(train.values()), 2),
        "effective": round(math.exp(entropy), 2),
        "rare": [name for name, count in train.items() if count < FEW],
        "unseen": dict(unseen),
    }


def _counted(table: pl.DataFrame, label: str) -> dict[str, int]:
    counts = Counter(table[label].to_list())
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

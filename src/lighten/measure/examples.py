"""Reads labelled examples, and brings the labels of several models into one order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError, nearest


def read_examples(path: Path, labels: Sequence[str]) -> tuple[list[str], list[int]]:
    """Read JSON lines of ``{"text": ..., "label": ...}``; a label is a name, or a number: its place in `labels`.

    Returns:
        The texts, and the place of each label in `labels`.

    Raises:
        InputError: no such file, a line that is no such object, or a label the model does not know.
    """
    places = {label: index for index, label in enumerate(labels)}
    texts, truth = [], []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the examples cannot be read: {error}", str(path)) from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            example = json.loads(line)
            text, label = example["text"], example["label"]
        except (ValueError, KeyError, TypeError):
            raise InputError('expected {"text": ..., "label": ...}', f"{path}, line {number}") from None
        if type(label) is int and 0 <= label < len(labels):
            label = labels[label]
        label = str(label)
        if label not in places:
            known = ", ".join(labels)
            raise InputError(
                f"label {label!r} is not one of {known}{nearest(label, labels)}", f"{path}, line {number}"
            )
        texts.append(text)
        truth.append(places[label])
    if not texts:
        raise InputError("there are no examples here", str(path))
    return texts, truth


def read_groups(path: Path) -> npt.NDArray[np.int64] | None:
    """Return a number per example that says which group it belongs to, or None where lines name no ``group``."""
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    groups = [json.loads(line).get("group") for line in lines]
    if not groups or any(group is None for group in groups):
        return None
    return number_groups(groups)


def number_groups(groups: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the number of each group in the order of first appearance, [n]."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.int64)


def align(wanted: Sequence[str], found: Sequence[str], where: str) -> list[int]:
    """Return the columns that bring a model's logits into the wanted order of labels.

    Raises:
        InputError: the model has other labels.
    """
    if set(wanted) != set(found):
        raise InputError(f"the models to compare have other labels: {', '.join(wanted)} and {', '.join(found)}", where)
    return [list(found).index(label) for label in wanted]

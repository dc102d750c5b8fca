"""Which answers differ between the chosen model and the reference on the sealed test, class by class, with texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lighten.errors import InputError

PREDICTIONS = "predictions.json"


class Row(NamedTuple):
    """One text of the test split; `label` is a place among the labels, `number` the row in the user's file."""

    text: str
    label: int
    number: int


def flips_of(folder: Path, result: Mapping[str, Any], examples: int = 5) -> dict[str, Any] | None:
    """Compare the recorded answers of a run; nothing is predicted anew.

    Args:
        folder: the run folder.
        result: the content of its ``result.json``.
        examples: texts to keep of each kind and class at most.

    Returns:
        See `count_flips`; None where no model was delivered, so that there is nothing to compare.

    Raises:
        InputError: the answers or the test split are missing, damaged, or do not belong together.
    """
    if not result.get("chosen") or not result.get("reference"):
        return None
    labels, answers = read_predictions(folder / PREDICTIONS)
    file = _test_file(folder, result)
    rows = read_test(file, len(labels))
    for name, given in answers.items():
        if len(given) != len(rows):
            raise InputError(
                f"{len(given)} answers of {name}, but the test split {file} has {len(rows)} texts",
                str(folder / PREDICTIONS),
            )
    return count_flips(labels, rows, answers["reference"], answers["chosen"], examples)


def count_flips(
    labels: Sequence[str], rows: Sequence[Row], reference: Sequence[int], chosen: Sequence[int], examples: int = 5
) -> dict[str, Any]:
    """Count the answers that differ.

    A flip is fixed where only the chosen model is right, broken where only the reference is; where both are wrong in
    different ways it is ``other``.

    Returns:
        ``split``, ``n``, ``fixed``, ``broken``, ``other``, and ``classes``: per true label ``n``, both models'
        ``reference`` and ``chosen`` accuracy in points, ``fixed``, ``broken``, and ``examples`` of both kinds.
    """
    classes: list[dict[str, Any]] = [
        {"label": label, "n": 0, "reference": 0, "chosen": 0, "fixed": 0, "broken": 0, "examples": _kinds()}
        for label in labels
    ]
    other = 0
    for row, before, after in zip(rows, reference, chosen, strict=True):
        own = classes[row.label]
        own["n"] += 1
        own["reference"] += before == row.label
        own["chosen"] += after == row.label
        if before == after:
            continue
        if row.label not in (before, after):
            other += 1
            continue
        kind = "fixed" if after == row.label else "broken"
        own[kind] += 1
        if len(own["examples"][kind]) < examples:
            said = {"row": row.number, "text": row.text, "reference": labels[before], "chosen": labels[after]}
            own["examples"][kind].append(said)
    for one in classes:
        for name in ("reference", "chosen"):
            one[name] = round(100 * one[name] / one["n"], 4) if one["n"] else None
    return {
        "split": "test",
        "n": len(rows),
        "fixed": sum(one["fixed"] for one in classes),
        "broken": sum(one["broken"] for one in classes),
        "other": other,
        "classes": classes,
    }


def read_predictions(file: Path) -> tuple[list[str], dict[str, list[int]]]:
    """Read what reference and chosen model answered to the test split.

    Returns:
        The labels, and by model the place of each answer among them.

    Raises:
        InputError: the file is missing or is not that.
    """
    content = _json(file)
    labels = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(labels, list) or not labels:
        raise InputError("damaged: expected the labels, and the answers of chosen model and reference", str(file))
    answers = {}
    for name in ("chosen", "reference"):
        given = content.get(name)
        if not isinstance(given, list):
            raise InputError(f"damaged: it has no list of answers of {name}", str(file))
        for place, answer in enumerate(given):
            if type(answer) is not int or not 0 <= answer < len(labels):
                raise InputError(
                    f"damaged: answer {place} of {name} must be a number from 0 to {len(labels) - 1}; got {answer!r}",
                    str(file),
                )
        answers[name] = given
    return [str(label) for label in labels], answers


def read_test(file: Path, labels: int) -> list[Row]:
    """Read the test split that the data room wrote.

    Raises:
        InputError: the file is missing, or a line is not a text with one of so many labels.
    """
    rows = []
    for number, line in enumerate(_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            row = Row(str(entry["text"]), entry["label"], int(entry.get("row", number)))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError('damaged: expected {"text": ..., "label": ...}', f"{file}, line {number}") from None
        if type(row.label) is not int or not 0 <= row.label < labels:
            raise InputError(f"label {row.label!r} is not one of the {labels}", f"{file}, line {number}")
        rows.append(row)
    return rows


def _test_file(folder: Path, result: Mapping[str, Any]) -> Path:
    data = (result.get("folders") or {}).get("data")
    if not isinstance(data, str):
        raise InputError("it does not say in which folder the test split lies (folders.data)", str(folder))
    file = folder / data / "test.jsonl"
    if not file.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"folders.data must be inside the run folder; got {data!r}", str(folder / "result.json"))
    return file


def _json(file: Path) -> Any:
    try:
        return json.loads(_text(file))
    except ValueError:
        raise InputError("damaged: not a JSON document", str(file)) from None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError("missing; without it nobody can say which predictions changed", str(file)) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", str(file)) from None
    except UnicodeDecodeError:
        raise InputError("damaged: not UTF-8 text", str(file)) from None


def _kinds() -> dict[str, list[Any]]:
    return {"fixed": [], "broken": []}

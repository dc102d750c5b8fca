"""Writes a cascade: two model folders in one, and the threshold between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.export.bundle import link
from lighten.pipeline.files import checksum, write_json
from lighten.runtime.cascade import Cascade, margins
from lighten.runtime.cascade_folder import CONFIDENCE, FIRST, SECOND
from lighten.runtime.folder import CASCADE_FORMAT, CLASSIFICATION, DESCRIPTION, ModelFolder, read_folder

CASES = 8
"""Texts of the self-test, half of them passed on where there are so many."""
CLEAR = 0.1
"""Distance of a case from the threshold, as a share of its largest logit: twice what int8 may differ by elsewhere."""


@dataclass(frozen=True)
class Rule:
    """When the second model is asked.

    Attributes:
        threshold: where the first one's two largest logits differ by less.
        passed_on: share of the calibration texts for which they do.
        examples: how many texts that were.
    """

    threshold: float
    passed_on: float
    examples: int

    def to_dict(self) -> dict[str, Any]:
        """Return the entry ``cascade`` of ``lighten.json``."""
        return {FIRST: FIRST, SECOND: SECOND, "confidence": CONFIDENCE, **vars(self)}


def write_cascade(
    target: Path,
    first: Path,
    second: Path,
    rule: Rule,
    *,
    plan: Sequence[dict[str, Any]] = (),
    samples: Sequence[str] = (),
) -> None:
    """Write a folder with two complete model folders, ``first/`` and ``second/``; each loads on its own too.

    Args:
        target: existing, empty folder.
        first: model folder that is asked of every text.
        second: model folder that is asked of those that the first is not sure of; it says how many threads to use.
        rule: see there.
        plan: the steps that made the cascade, for the record.
        samples: texts to take the self-test from: those near the threshold are left out, for another CPU may round
            them to its other side.

    Raises:
        InputError: the folders are no single classifiers, or have other labels; a rule that cannot be.
    """
    parts = {FIRST: _part(first), SECOND: _part(second)}
    if parts[FIRST].labels != parts[SECOND].labels:
        one, other = (", ".join(part.labels) for part in parts.values())
        raise InputError(
            f"the parts of a cascade have the same labels in the same order, but got {one} and {other}", str(second)
        )
    files: dict[str, dict[str, Any]] = {}
    for name, part in parts.items():
        for file, entry in part.files.items():
            _put(part.path / file, target / name / file)
            files[f"{name}/{file}"] = entry
        description = _put(part.path / DESCRIPTION, target / name / DESCRIPTION)
        files[f"{name}/{DESCRIPTION}"] = {
            "bytes": description.stat().st_size,
            "sha256": checksum(description),
            "role": "serving",
        }
    content = {
        "format": CASCADE_FORMAT,
        "task": CLASSIFICATION,
        "labels": list(parts[SECOND].labels),
        "cascade": rule.to_dict(),
        "runtime": {"threads": parts[SECOND].threads, "spinning": parts[SECOND].spinning},
        "plan": list(plan),
        "files": files,
        "self_test": [],
        "note": note(rule),
    }
    write_json(target / DESCRIPTION, content)
    cascade = Cascade(read_folder(target))
    if samples:
        content["self_test"] = _cases(cascade, samples)
        write_json(target / DESCRIPTION, content)


def note(rule: Rule) -> str:
    """Return in words what a cascade's folder is."""
    times = math.exp(min(rule.threshold, 50.0))
    return (
        f"Two models in one folder. {FIRST}/ answers a text where its label is at least {times:.4g} times as probable "
        f"as its next one; {SECOND}/ answers the rest, {100 * rule.passed_on:.1f}% of texts like the "
        f"{rule.examples:,} of the calibration. Each is a complete model folder."
    )


def _part(path: Path) -> ModelFolder:
    part = read_folder(path)
    if part.task != CLASSIFICATION or part.cascade is not None:
        kind = "a cascade" if part.cascade is not None else f"a model for {part.task}"
        raise InputError(f"a part of a cascade is a single classifier, not {kind}", str(path))
    return part


def _put(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    link(source, target)
    return target


def _cases(cascade: Cascade, samples: Sequence[str]) -> list[dict[str, Any]]:
    """Return the first texts that are clearly on either side of the threshold, with what they give, one by one."""
    sides: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for text in samples:
        first = cascade.first.logits(text)
        distance = float(margins(first)[0]) - cascade.threshold
        side = sides[distance < 0]
        if abs(distance) <= CLEAR * max(1.0, float(np.abs(first).max())) or len(side) == CASES:
            continue
        answered = cascade.answer(text)
        row, passed = answered.logits[0], bool(answered.passed_on[0])
        side.append(
            {
                "text": text,
                "logits": [round(float(x), 5) for x in row],
                "label": cascade.labels[int(row.argmax())],
                "answered_by": SECOND if passed else FIRST,
            }
        )
    passed_on = sides[True][: max(CASES // 2, CASES - len(sides[False]))]
    return [*sides[False][: CASES - len(passed_on)], *passed_on]

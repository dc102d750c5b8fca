"""Reads the description of a cascade: a folder with two complete model folders and the rule between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lighten.errors import InputError
from lighten.runtime.folder import (
    CLASSIFICATION,
    DESCRIPTION,
    ModelFolder,
    at_least,
    check_case,
    check_presence,
    files_in,
    inside,
    labels_in,
    read_folder,
)

FIRST: Final = "first"
SECOND: Final = "second"
CONFIDENCE = "logit-margin"
"""How sure the first model is: the difference of its two largest logits."""


@dataclass(frozen=True)
class Parts:
    """The two models of a cascade, and when the second one is asked.

    Attributes:
        first: is asked of every text.
        second: is asked of those of which the first is not sure.
        threshold: the first is sure where the difference of its two largest logits is this at least: where its label
            is ``exp(threshold)`` times as probable as the next.
        passed_on: share of texts like those it was calibrated on that the second is asked of.
        examples: how many texts that share was counted on.
    """

    first: ModelFolder
    second: ModelFolder
    threshold: float
    passed_on: float
    examples: int


def parse_cascade(path: Path, content: dict[str, Any]) -> ModelFolder:
    """Return what the description of a cascade says, its parts read and checked.

    Raises:
        InputError: a part is missing or damaged, is a cascade itself, or has other labels.
        ValueError: another fault of the description.
    """
    labels, runtime, said = labels_in(content), content.get("runtime") or {}, content["cascade"]
    if content["task"] != CLASSIFICATION:
        raise ValueError(f"a cascade is for {CLASSIFICATION}, not for {content['task']}")
    confidence = said.get("confidence", CONFIDENCE)
    if confidence != CONFIDENCE:
        raise ValueError(f"cascade.confidence must be {CONFIDENCE}, not {confidence!r}")
    threshold = _number(said["threshold"], "cascade.threshold", math.inf)
    passed_on = _number(said["passed_on"], "cascade.passed_on", 1.0)
    cases = list(content.get("self_test") or [])
    for case in cases:
        check_case(case, labels, language=False)
    first, second = (_part(path, inside(said[name]), labels) for name in (FIRST, SECOND))
    folder = ModelFolder(
        path=path,
        task=CLASSIFICATION,
        labels=labels,
        graph=second.graph,
        max_tokens=min(first.max_tokens, second.max_tokens),
        pad_token_id=second.pad_token_id,
        lowercase=second.lowercase,
        threads=at_least(1, runtime.get("threads", 1), "runtime.threads"),
        spinning=bool(runtime.get("spinning", False)),
        plan=list(content.get("plan") or []),
        files=files_in(content),
        self_test=cases,
        cascade=Parts(first, second, threshold, passed_on, at_least(1, said["examples"], "cascade.examples")),
    )
    check_presence(path, folder.files, roles=("serving",))
    return folder


def _part(path: Path, name: str, labels: tuple[str, ...]) -> ModelFolder:
    part, where = read_folder(path / name), str(path / name / DESCRIPTION)
    if part.cascade is not None:
        raise InputError("a part of a cascade is a single model, and this is a cascade itself", where)
    if part.labels != labels:
        raise InputError(
            f"the parts of a cascade have its labels in its order: {', '.join(labels)} expected, "
            f"{', '.join(part.labels) or 'none'} found",
            where,
        )
    return part


def _number(value: Any, key: str, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most or math.isinf(value):
        bound = "" if math.isinf(most) else f" to {most:g}"
        raise ValueError(f"{key} must be a finite number from 0{bound}, not {value!r}")
    return float(value)

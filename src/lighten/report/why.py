"""The explanation as the page's templates take it: the same sentences as on screen, in paragraphs and rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lighten.report.choice_words import choice_words, other_words, rule_words, tied_words
from lighten.report.explain_words import flip_words, limit_words, nearest_words, selection_words, untried_words
from lighten.report.words import interval, limit_name, listed, number, points

HEADINGS = {"quality": "Points", "latency_ms": "Latency ms", "size_mb": "Size MB", "peak_memory_mb": "Memory MB"}
NOUNS = {"quality": "quality", "latency_ms": "latency", "size_mb": "size", "peak_memory_mb": "memory"}
LONGEST = 600
"""Letters of a text that the page shows."""
CLASSES = 60
"""Classes in the table at most; those with the most flips first."""


def why_rows(explained: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section "Why this one" of an explained build."""
    why, limits = explained["why"], explained["limits"]
    chosen = (result["chosen"] or {}).get("name")
    members = explained["frontier"]
    shown = list(members[0]["values"]) if members else []
    return {
        "rule": rule_words(why),
        "lines": choice_words(why),
        "others": [(one["name"], other_words(one, why, explained["budget"])) for one in why["others"]],
        "bound": nearest_words(limits),
        "relaxed": [(limit_name(name).lower(), limit_words(limits, name)) for name in limits["relaxed"]],
        "headings": [HEADINGS.get(name, name) for name in shown],
        "weighed": listed([NOUNS.get(name, name) for name in shown]),
        "frontier": [
            {
                "name": member["name"],
                "chosen": member["name"] == chosen,
                "cells": [_cell(name, member["values"][name]) for name in shown],
                "reason": member["reason"],
            }
            for member in members
        ],
        "tied": tied_words(members),
        "selection": selection_words(explained["selection"], explained["test_reads"]),
        "untried": untried_words(explained),
    }


def _cell(name: str, value: Mapping[str, Any]) -> tuple[str, str]:
    """Return an estimate and its interval."""
    form = "points" if name == "quality" else "number"
    say = points if name == "quality" else number
    return say(value["value"]), interval(value["ci95"], form)


def flip_rows(flips: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the section on flips: classes with the most first, each count's share of the largest, texts cut."""
    if flips is None:
        return None
    classes = sorted(flips["classes"], key=lambda one: -(one["fixed"] + one["broken"]))[:CLASSES]
    most = max((max(one["fixed"], one["broken"]) for one in classes), default=0) or 1
    rows = []
    for one in classes:
        examples = {
            kind: [{**example, "text": _cut(example["text"])} for example in found]
            for kind, found in one["examples"].items()
        }
        shares = {"fixed_share": one["fixed"] / most, "broken_share": one["broken"] / most}
        rows.append({**one, **shares, "examples": examples})
    return {"said": flip_words(flips), "classes": rows}


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."

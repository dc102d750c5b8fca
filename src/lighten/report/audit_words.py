"""What an audit found, as a reader says it: for the page and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lighten.report.words import MISSING, number

KINDS = {
    "no_letters": "no letter in them",
    "broken_encoding": "signs of a wrong encoding",
    "control_characters": "control characters",
    "markup": "HTML tags",
    "entities": "HTML entities",
    "only_a_link": "nothing but a link",
    "repeated_character": "one character ten times or more",
    "no_small_letters": "capital letters only",
    "short": "one word or two",
}


def part_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """Return a row per part: name, rows, usable, without text, without label."""
    return [
        [part, *(number(facts[key], 9) for key in ("rows", "usable", "empty_text", "missing_label"))]
        for part, facts in document["parts"].items()
    ]


def length_rows(lengths: Mapping[str, Any]) -> list[list[str]]:
    """Return a row per part: name, median, 95%, 99%, longest, over the limit."""
    return [
        [
            part,
            *(number(facts[key], 6) for key in ("median", "p95", "p99", "max")),
            MISSING if facts["over_limit"] is None else number(facts["over_limit"], 9),
        ]
        for part, facts in lengths["parts"].items()
    ]


def between_words(leak: Mapping[str, Any]) -> str:
    """Return what two parts share in a sentence."""
    mine, theirs = leak["parts"]
    exact, near = number(leak["exact"], 9), number(leak["near"], 9)
    return f"{exact} rows of {mine} are in {theirs} too, and {near} more nearly equal a row of it."


def balance_words(facts: Mapping[str, Any]) -> str:
    """Return how even the labels are in a sentence."""
    text = (
        f"The most frequent label has {100 * facts['majority_share']:.1f}% of the rows, {number(facts['imbalance'])}"
        f" times those of the rarest; it is as uneven as {number(facts['effective'])} equal labels."
    )
    if facts["rare"]:
        text += f" Fewer than 10 rows: {', '.join(facts['rare'][:10])}{', ...' if len(facts['rare']) > 10 else ''}."
    if facts["unseen"]:
        text += f" Not in training: {', '.join(list(facts['unseen'])[:10])}."
    return text


def error_words(errors: Mapping[str, Any]) -> str:
    """Return how suspects were found and how far that can be trusted."""
    if errors["accuracy"] is None:
        return "Labels with too few rows: label errors cannot be looked for."
    suspected, share = number(errors["suspected"], 9), 100 * errors["share"]
    return (
        f"{suspected} rows ({share:.1f}%) look like another label to a classifier on {errors['features']} that did not"
        f" see them ({errors['folds']} folds, {errors['accuracy']:.1f}% accurate; the most frequent label is"
        f" {errors['majority']:.1f}%). A suspect is a row to read, not yet an error: the weaker the classifier, the"
        " more suspects are labelled rightly."
    )

"""`augment_texts`: variants of texts in Python, without a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lighten.data.augment.method import Bounds, Corpus, Method
from lighten.data.augment.methods import methods_from_specs
from lighten.data.augment.run import augment_rows
from lighten.data.augment.translate import Translate, Translator, command_translator
from lighten.errors import InputError


class Augmented(NamedTuple):
    """Variants of texts.

    Args:
        texts: a list of exactly `copies` variants for each text.
        report: outputs, unchanged outputs, edited words and examples by method.
    """

    texts: list[list[str]]
    report: dict[str, Any]


def augment_texts(
    texts: Sequence[str],
    methods: str | dict[str, Any] | Method | Sequence[str | dict[str, Any] | Method] = "delete",
    copies: int = 4,
    *,
    labels: Sequence[Any] | None = None,
    rate: float = 0.1,
    max_share: float = 0.34,
    negations: str = "keep",
    wordnet: str | Path | None = None,
    translate: Translator | Sequence[str] | None = None,
    control: bool = False,
    seed: int = 0,
) -> Augmented:
    """Make variants of texts.

    Args:
        texts: any texts.
        methods: one method or several that take turns: names, ``{name: {field: value}}`` or methods.
        copies: variants per text.
        labels: of the texts, for methods that learn from the texts of a label.
        rate: share of a text's words to edit.
        max_share: most of a text's words that may be edited, from 0 to 1.
        negations: ``"edit"``: words of negation may be edited too.
        wordnet: source of WordNet's files or of a JSON table, for synonyms.
        translate: translator of your own for the method ``"translate"``: a function from a list of texts to as
            many, there and back, or a command that reads and writes one JSON text per line.
        control: plain copies instead.
        seed: another seed gives other variants.

    Raises:
        InputError: an unknown method, a value out of range, or a method that lacks what it needs.
    """
    specs = [methods] if isinstance(methods, (str, dict, Method)) else list(methods)
    if translate is not None:
        through = translate if callable(translate) else command_translator(translate)
        specs = [Translate(through=through) if spec == "translate" else spec for spec in specs]
    if not specs:
        raise InputError("give at least one method", "methods")
    if copies < 1:
        raise InputError(f"copies is 1 or more; got {copies}", "copies")
    for name, share in (("rate", rate), ("max_share", max_share)):
        if not 0 < share <= 1:
            raise InputError(f"{name} is above 0 and at most 1; got {share}", name)
    if negations not in ("keep", "edit"):
        raise InputError(f"negations is keep or edit; got {negations!r}", "negations")
    named = [""] * len(texts) if labels is None else [str(label) for label in labels]
    if len(named) != len(texts):
        raise InputError(f"{len(named)} labels for {len(texts)} texts", "labels")
    corpus = Corpus(texts, named, _no_column, None if wordnet is None else str(wordnet))
    bounds = Bounds(rate, max_share, negations == "keep")
    made, tallies = augment_rows(methods_from_specs(specs), corpus, copies, bounds, seed, control)
    rows = [made[start : start + copies] for start in range(0, len(made), copies)]
    return Augmented(rows, {name: tally.report() for name, tally in tallies.items()})


def _no_column(name: str) -> list[str]:
    raise InputError(f"there are no columns here; give the values of the slot instead of {name!r}", "slots")

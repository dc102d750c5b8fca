"""All methods by name; importing this registers them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lighten.data.augment import marks, masked_lm, ngrams, noise, sentences, synonyms, templates, translate, word_order  # noqa: F401
from lighten.data.augment.method import Method
from lighten.pipeline import step_from_spec


def methods_from_specs(specs: Iterable[str | dict[str, Any] | Method]) -> list[Method]:
    """Make methods from what a recipe says: ``"delete"`` or ``{"delete": {"rate": 0.2}}``; methods stay as they are.

    Raises:
        InputError: an unknown method or field, with the nearest known one.
    """
    made = [step_from_spec("augment", spec, f"methods[{index}]") for index, spec in enumerate(specs)]
    return [method for method in made if isinstance(method, Method)]

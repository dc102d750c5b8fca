"""All steps on tables: importing this module registers them."""

from __future__ import annotations

from lighten.data import (  # noqa: F401
    clean,
    deduplicate,
    filter,
    language,
    near_step,
    normalise,
    quality,
    semantic_step,
    spelling,
)
from lighten.data.augment import step as _augment  # noqa: F401
from lighten.data.selection import step as _select  # noqa: F401
from lighten.data.table_step import TableStep
from lighten.pipeline import step_from_spec


def make_step(spec: object, where: str) -> TableStep:
    """Make a step on tables from what a recipe or `step_to_dict` says.

    Raises:
        InputError: an unknown step or field.
    """
    step = step_from_spec("table", spec, where)  # type: ignore[arg-type]
    assert isinstance(step, TableStep)
    return step

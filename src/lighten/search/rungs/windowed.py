"""Long texts read whole: the given model is extended by attention within a window before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lighten.compress.extend import Extend
from lighten.errors import InputError
from lighten.models.checkpoint import read_config
from lighten.models.extension import WINDOW
from lighten.models.layout import shape_of
from lighten.models.tokens import fitting_length
from lighten.runtime.long_texts import Long

if TYPE_CHECKING:
    from lighten.search.run import Run

WAY = "window"
"""What a recipe calls it."""
MOST = 4096
"""Tokens of a text at most; what is longer is truncated there."""


def tokens_for(run: Run, longest: int) -> int:
    """Return the tokens that an extended model takes, so that the longest text and the target's fit as far as may be.

    Args:
        run: the build.
        longest: tokens of the longest training text.
    """
    return max(fitting_length(max(longest, run.recipe.target.tokens), MOST), run.max_tokens)


def read_whole(run: Run, tokens: int) -> None:
    """Go on with the extended model in place of the given one: reference, students and costs are those of the former.

    Raises:
        InputError: the model cannot be extended.
    """
    step = Extend(tokens=tokens, window=None if tokens > WINDOW else tokens // 4)
    try:
        extended = run.apply(step, run.model, name="attention within a window")
    except InputError as error:
        raise InputError(f"the model cannot read long texts whole: {error}", "search.long") from None
    run.model, run.model_key, run.config = extended.path, extended.key, read_config(extended.path)
    run.full = shape_of(run.config, len(run.labels))
    run.max_tokens, run.long = tokens, Long()

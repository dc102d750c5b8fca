"""How many perturbed copies of each training text the teacher answers: as many as the clock has time for."""

from __future__ import annotations

from lighten.compress.teacher import STATES_LIMIT
from lighten.search.run import Run
from lighten.search.timing import TEACHER_OVER_EPOCH, Forecast, left_for_students

MOST = 3
"""Copies of each text."""
SHARE = 0.5
"""Share of the time for students that the answers to copies may take: fewer epochs over more texts are better
(docs/decisions.md, 2026-11-23)."""
STATE_BYTES = 2
"""Of each number of the last hidden states that are kept beside the answers."""


def copies_for(run: Run, expected: Forecast, ahead: float = 0.0) -> int:
    """Return the copies that the recipe asks for, or those there is time and room for.

    Without a clock there are none unless asked for: what trainings cost is up to the recipe there.

    Args:
        run: the build.
        expected: with the speed of the reference's training.
        ahead: seconds of what comes before the answers and has not begun yet.
    """
    asked = run.recipe.search.copies
    if asked is not None or not run.by_clock or expected.speed is None:
        return asked or 0
    pass_over_texts = TEACHER_OVER_EPOCH * run.train_tokens / expected.speed
    left = left_for_students(run, expected, ahead + pass_over_texts)
    timely = int(SHARE * left / pass_over_texts)
    states = STATE_BYTES * run.full.hidden * run.train_tokens
    # Beyond the limit no states are kept at all: they are worth more than copies.
    roomy = STATES_LIMIT // states - 1 if states <= STATES_LIMIT else MOST
    return max(0, min(MOST, timely, roomy))

"""What a piece of work was given, of time or of texts: what came to its end holds for every budget, the rest for one.

A share of the build's time is decided once, so that a build that was interrupted goes on with it. Were it to hold for
other budgets before anything came of it, a short build would be bound to what a long one had planned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lighten.search.run import Run

DONE = "done"
"""The journal's event of a piece of work that came to its end."""


def allotted(run: Run, what: str, decide: Callable[[], Any]) -> Any:
    """Return what the work was given when it was done, under any budget; else decide it, once for this budget.

    Args:
        run: the build.
        what: is given, such as ``reference seconds``.
        decide: returns how much, JSON-ready.
    """
    known = run.journal.last(DONE, scope=run.scope, what=what)
    return known["value"] if known is not None else run.journal.decide(what, run.budget_scope, decide)


def is_done(run: Run, what: str) -> bool:
    """Whether the work came to its end, under any budget."""
    return run.journal.last(DONE, scope=run.scope, what=what) is not None


def done(run: Run, what: str, value: Any) -> None:
    """Journal, once, that the work came to its end with what it was given."""
    if not is_done(run, what):
        run.journal.write(DONE, scope=run.scope, what=what, value=value)

"""Candidates that failed: why, under which versions and on which machine, and whether they get another chance."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from lighten.errors import LightenError
from lighten.pipeline import Journal
from lighten.search.candidate import Candidate
from lighten.search.memory.known import environment
from lighten.search.run import Run

T = TypeVar("T")

FAILED = "failed"
"""The journal's event of a candidate that failed."""
RECOVERED = "recovered"
"""The journal's event of one that had failed and came right."""
CHANCES = 2
"""Times that a candidate is tried in one environment: once, and once more when the same command is run again."""
DAMAGE = (LightenError, ValueError, TypeError, LookupError, RuntimeError, ArithmeticError, OSError, MemoryError)
"""What spoils one candidate and not the build; `KeyboardInterrupt` and `interrupt.StopExploring` are none of these."""


def attempt(run: Run, name: str, work: Callable[[], T]) -> T | None:
    """Do what a candidate takes; where it fails, journal that and return None, so that the build goes on without it.

    Args:
        run: the build.
        name: of the candidate, or of the step, that is tried.
        work: what may fail; `None` is no answer of it.

    Returns:
        Its answer; None where it failed now, or has failed so often in this environment that it is not tried.
    """
    if not may_try(run.journal, run.scope, name):
        known = reason(run.journal, run.scope, name)
        run.progress.note(f"{name}: not tried again, it failed on this machine with these versions: {known}")
        return None
    try:
        answer = work()
        came_right(run, name)
        return answer
    except DAMAGE as error:
        said = str(error) if isinstance(error, LightenError) else f"{type(error).__name__}: {error}"
        said = " ".join(said.split()) or type(error).__name__
        run.journal.write(
            FAILED,
            scope=run.scope,
            candidate=name,
            reason=said,
            environment=environment(),
            attempt=attempts(run.journal),
            trace=traceback.format_exc(limit=-5),
        )
        run.progress.note(f"{name} failed: {said}")
        return None


def spare(
    run: Run, measured: dict[str, Candidate], name: str, rung: str, work: Callable[[], T], *, piece: str | None = None
) -> T | None:
    """Do what a candidate takes, see `attempt`; where it failed it is listed as failed, with the reason.

    Args:
        run: the build.
        measured: candidates by name, to list it in.
        name: of the candidate.
        rung: it belongs to.
        work: what may fail.
        piece: of the candidate's work, where it takes several: each has chances of its own, under this name.
    """
    piece = piece or name
    answer = attempt(run, piece, work)
    if answer is None and _failed_last(run.journal, run.scope, piece):
        why = reason(run.journal, run.scope, piece)
        measured[name] = Candidate(name, rung, [], "failed", "training_failed", error=why)
    return answer


def may_try(journal: Journal, scope: str, name: str) -> bool:
    """Whether a candidate may be tried: not if it failed in this attempt, or `CHANCES` times in this environment."""
    failures = _failures(journal, scope, name)
    return len(failures) < CHANCES and all(event["attempt"] != attempts(journal) for event in failures)


def pending(journal: Journal, scope: str) -> list[str]:
    """Return the candidates that failed, did not come right since, and that the next attempt may try again."""
    names = dict.fromkeys(event["candidate"] for event in journal.all(FAILED, scope=scope) if "environment" in event)
    return [name for name in names if _failed_last(journal, scope, name) and _chances(journal, scope, name) > 0]


def came_right(run: Run, name: str) -> None:
    """Journal that a candidate that had failed is measured now; does nothing for one that never failed."""
    if _failed_last(run.journal, run.scope, name):
        run.journal.write(RECOVERED, scope=run.scope, candidate=name)


def reason(journal: Journal, scope: str, name: str) -> str:
    """Return why a candidate failed last, an empty text if it never did."""
    last = journal.last(FAILED, scope=scope, candidate=name)
    return "" if last is None else str(last["reason"])


def attempts(journal: Journal) -> int:
    """Return the number of this attempt: how often a build was started in this run folder."""
    return len(journal.all("started"))


def _chances(journal: Journal, scope: str, name: str) -> int:
    return CHANCES - len(_failures(journal, scope, name))


def _failures(journal: Journal, scope: str, name: str) -> list[dict[str, Any]]:
    """Return its failures on this machine with these versions, since it last came right on any."""
    return [event for event in _since_right(journal, scope, name) if event.get("environment") == environment()]


def _failed_last(journal: Journal, scope: str, name: str) -> bool:
    return bool(_since_right(journal, scope, name))


def _since_right(journal: Journal, scope: str, name: str) -> list[dict[str, Any]]:
    """Return its failures everywhere since it last came right: what was made of it then may well be found here."""
    failures: list[dict[str, Any]] = []
    for event in journal.events:
        if event.get("scope") != scope or event.get("candidate") != name:
            continue
        if event["event"] == RECOVERED:
            failures = []
        elif event["event"] == FAILED:
            failures.append(event)
    return failures

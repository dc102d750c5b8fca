"""Whether the machine kept its pace: the reference is timed in every session, and must take as long as before."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lighten.search.memory.known import conditions
from lighten.search.run import Run
from lighten.workshop.limits import Limit, check

T = TypeVar("T")

DRIFT = 1.25
"""The reference taking so many times as long as in the session before, or as short, is no noise."""
NOISE_MS = 0.02
"""A difference below this is noise of the clock and the scheduler, whatever its share."""
WAIT = 2.0
"""Seconds to wait before a session that was out of step is measured again: another program may end."""
SESSION = "session"
"""The journal's event of a session of timing."""
CANDIDATES, PROOF = "candidates", "proof"
"""Stages: the session that the choice rests on, and the one that the verdict rests on."""


def steady(run: Run, stage: str, measure: Callable[[], T], reference_ms: Callable[[T], float]) -> T:
    """Do a session of timing; where the reference is out of step, wait and do it once more.

    Nothing is scaled: the second session counts as it is, and whether it is in step is recorded.

    Args:
        run: the build.
        stage: what is timed, for the record.
        measure: does the session, the reference beside the others.
        reference_ms: returns the reference's median from a session.
    """
    before, started = sessions(run), time.monotonic()
    value = measure()
    now, took = reference_ms(value), time.monotonic() - started
    if not before or not drifted(before[-1]["reference_ms"], now):
        _record(run, stage, now, before, again=False)
        return value
    ratio = now / before[-1]["reference_ms"]
    said = f"{stage}: the reference takes {ratio:.2f} times as long as in the session before"
    if run.by_clock and run.clock.left < WAIT + took:
        run.progress.note(f"{said}; there is no time to measure again")
        _record(run, stage, now, before, again=False)
        return value
    run.progress.note(f"{said}; measuring again")
    time.sleep(WAIT)
    value = measure()
    _record(run, stage, reference_ms(value), before, again=True)
    return value


def drifted(before: float, now: float) -> bool:
    """Whether two medians of the reference, in milliseconds, are too far apart for a machine at the same pace."""
    return abs(now - before) > NOISE_MS and not 1 / DRIFT <= now / before <= DRIFT


def sessions(run: Run) -> list[dict[str, Any]]:
    """Return the sessions of this run folder under the same conditions, oldest first."""
    return run.journal.all(SESSION, scope=run.scope, conditions=conditions(run))


def paces(run: Run, choice: float, proof: float) -> list[float]:
    """Return the reference's time in the proof over that in every session out of step with it.

    Compared are the sessions of this attempt, and that in which the choice was made: it may be an earlier one, as
    may the proof's.

    Args:
        run: the build.
        choice: the reference's median in the session that the choice rests on, in milliseconds.
        proof: the one in the proof.
    """
    begun = len(run.journal.all("started"))
    others = [entry["reference_ms"] for entry in sessions(run) if entry.get("attempt") == begun]
    return sorted({round(proof / before, 3) for before in [choice, *others] if drifted(before, proof)})


def summary(run: Run) -> dict[str, Any]:
    """Return ``steadiness`` of result.json.

    ``ratio`` is the longest median of the reference over the shortest, ``drifted`` the stages that stayed out of step
    with the session before them when they were measured again.
    """
    rows = [
        {key: entry[key] for key in ("stage", "reference_ms", "ratio", "again", "drifted")} for entry in sessions(run)
    ]
    times = [row["reference_ms"] for row in rows]
    return {
        "ratio": round(max(times) / min(times), 4) if times else None,
        "drifted": [row["stage"] for row in rows if row["drifted"]],
        "sessions": rows,
    }


def hanging(limits: Sequence[Limit], paces: Sequence[float]) -> list[str]:
    """Return the limits on speed that would be decided otherwise at another pace of the machine.

    Args:
        limits: compared with what was measured.
        paces: the reference's time in the session that was measured over that of others.
    """
    found = []
    for limit in limits:
        for pace in paces:
            factor = {"latency_ms": 1 / pace, "throughput_per_s": pace}.get(limit.name)
            if factor is None or limit.value is None or limit.name in found:
                continue
            if check(limit.name, limit.limit, limit.value * factor).met != limit.met:
                found.append(limit.name)
    return found


def caution(undecided: Sequence[str]) -> str:
    """Return what the verdict's sentence says where limits hang on a session out of step, else nothing."""
    if not undecided:
        return ""
    return (
        f" The machine changed its pace during the build: at the earlier one {' and '.join(undecided)} would be "
        "decided otherwise; run the same command again on a quiet machine."
    )


def _record(run: Run, stage: str, now: float, before: Sequence[dict[str, Any]], again: bool) -> None:
    last = before[-1]["reference_ms"] if before else None
    run.journal.write(
        SESSION,
        scope=run.scope,
        conditions=conditions(run),
        attempt=len(run.journal.all("started")),
        stage=stage,
        reference_ms=round(now, 5),
        ratio=None if last is None else round(now / last, 4),
        again=again,
        drifted=last is not None and drifted(last, now),
    )

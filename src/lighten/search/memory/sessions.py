"""Timings side by side, kept by content: a session that holds all that is asked for is not repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lighten.search.memory.known import conditions, content_of, wants_memory, wants_throughput
from lighten.search.memory.steadiness import drifted, sessions, steady
from lighten.search.run import Run

Metrics = dict[str, Any]
TIMED = "timed"
ALWAYS = ("latency_ms", "size_mb")


def timed_once(
    run: Run,
    stage: str,
    keys: Mapping[str, str],
    measure: Callable[[Sequence[str]], Mapping[str, Metrics]],
    *,
    reference: str = "reference",
    together: bool = True,
) -> dict[str, Metrics]:
    """Return the costs of models, timing only what no earlier session knows.

    A session counts as known as long as the reference took as long in it as in the last session of any stage: what
    was timed while the machine was disturbed is timed anew once it is not.

    Args:
        run: the build.
        stage: what is timed, for the record.
        keys: content by name; the reference must be among them.
        measure: times the names it is given side by side in one session; returns metrics by name.
        reference: name of the reference, which takes part in every session.
        together: whether all must come from one session. If not, what is missing is timed beside the reference and
            joins what is known, as long as the reference takes as long as it did then.
    """
    names = list(keys)

    def session(wanted: Sequence[str]) -> dict[str, Metrics]:
        found = steady(run, stage, lambda: dict(measure(wanted)), lambda m: float(m[reference]["latency_ms"]["p50"]))
        kept = {keys[name]: metrics for name, metrics in found.items()}
        run.journal.write(TIMED, scope=run.scope, conditions=conditions(run), stage=stage, metrics=kept)
        return found

    earlier = [_usable(run, entry["metrics"]) for entry in _entries(run, stage)]
    last, of_reference = sessions(run)[-1:], keys[reference]
    whole = next(
        (
            known
            for known in reversed(earlier)
            if all(key in known for key in keys.values())
            and not any(drifted(_median(known[of_reference]), entry["reference_ms"]) for entry in last)
        ),
        None,
    )
    if whole is not None:
        return {name: dict(whole[keys[name]]) for name in names}
    pieces = {} if together else _joined(earlier, of_reference)
    missing = [name for name in names if keys[name] not in pieces]
    if len(missing) == len(names) or reference in missing:
        return session(names)
    fresh = session([reference, *(name for name in missing if name != reference)])
    if len(fresh) < len(names) and drifted(_median(pieces[of_reference]), _median(fresh[reference])):
        return session(names)
    return {name: dict(fresh.get(name) or pieces[keys[name]]) for name in names}


def side_by_side(
    run: Run, folders: Mapping[str, Path], measure: Callable[[Mapping[str, Path]], Mapping[str, Metrics]], stage: str
) -> dict[str, Metrics]:
    """Return the costs of model folders from one session, an earlier one where it holds them all.

    Args:
        run: the build.
        folders: by name, ``reference`` among them.
        measure: times folders side by side.
        stage: what is timed, for the record.
    """
    keys = {name: content_of(folder) for name, folder in folders.items()}
    return timed_once(run, stage, keys, lambda names: measure({name: folders[name] for name in names}))


def _entries(run: Run, stage: str) -> list[dict[str, Any]]:
    return run.journal.all(TIMED, scope=run.scope, conditions=conditions(run), stage=stage)


def _usable(run: Run, metrics: Mapping[str, Metrics]) -> dict[str, Metrics]:
    """Return those of which everything is known that this budget asks for."""
    asked = {"peak_memory_mb": wants_memory(run.recipe), "throughput_per_s": wants_throughput(run.recipe)}
    wanted = [*ALWAYS, *(name for name, needed in asked.items() if needed)]
    return {key: found for key, found in metrics.items() if all(name in found for name in wanted)}


def _joined(earlier: Sequence[Mapping[str, Metrics]], reference: str) -> dict[str, Metrics]:
    """Return what sessions in step with the newest one know together."""
    joined: dict[str, Metrics] = {}
    newest = next((known[reference] for known in reversed(earlier) if reference in known), None)
    for known in earlier:
        if newest is not None and reference in known and not drifted(_median(known[reference]), _median(newest)):
            joined.update(known)
    return joined


def _median(metrics: Metrics) -> float:
    return float(metrics["latency_ms"]["p50"])

"""With how many threads the chosen model is served: a small one answers sooner with fewer than there are."""

from __future__ import annotations

from pathlib import Path

from lighten.export.threads import limit_threads
from lighten.measure.cost import time_in_fresh_process, timing_run
from lighten.measure.timing import MIN_CALLS
from lighten.search.candidate import Candidate
from lighten.search.memory.known import conditions, content_of, known_of, wants_throughput
from lighten.search.run import Run

GAIN = 0.9
"""Share of the target's latency below which fewer threads are worth the texts per second that they cost."""
SECONDS = 1.0
"""For the timings of all numbers of threads."""
MODELS = ("linear", "frozen", "student")
"""Rungs that are one model, and not the reference."""


def counts_of(asked: list[int] | None, threads: int) -> list[int]:
    """Return the numbers of threads to consider, the largest first: as asked, else the target's and its halves."""
    if asked is not None:
        return sorted(set(asked), reverse=True)
    return [threads >> step for step in range(threads.bit_length())]


def serve(run: Run, candidate: Candidate) -> Path:
    """Return the candidate's model folder with the number of threads that answers soonest.

    The target's, unless fewer are clearly quicker by the median and by what the budget is about. Not where throughput
    is asked for, which more threads are good for, and not where no timing may decide.
    """
    assert candidate.folder is not None
    folder, target, budget = candidate.folder, run.recipe.target, run.recipe.budget
    counts = counts_of(run.recipe.search.threads, target.threads)
    if len(counts) == 1 or not run.by_clock or wants_throughput(run.recipe) or candidate.rung not in MODELS:
        return folder
    folders = {count: folder if count == target.threads else _limited(run, folder, count) for count in counts}

    def measure() -> dict[str, dict[str, float]]:
        named = {str(count): path for count, path in folders.items()}
        once = timing_run(target.batch, target.tokens, MIN_CALLS, SECONDS)
        timed = time_in_fresh_process(named, target.threads, [once], run.recipe.seed)[0]
        return {name: {"mean": one.mean, "p50": one.p50, "p95": one.p95} for name, one in timed.items()}

    found = known_of(run).once("threads", [content_of(folder), counts, conditions(run)], measure)
    count = quickest({int(name): times for name, times in found.items()}, target.threads, budget.latency_percentile)
    if count != target.threads:
        times = [found[str(one)][budget.latency_percentile] for one in (count, target.threads)]
        run.progress.note(
            f"{candidate.name} is served with {count} of {target.threads} threads: {times[0]:.3g} ms instead of "
            f"{times[1]:.3g} ({budget.latency_percentile})"
        )
    return folders[count]


def quickest(found: dict[int, dict[str, float]], threads: int, percentile: str) -> int:
    """Return the number of threads to serve with, given milliseconds by number; see `serve`."""
    usual = found[threads]
    better = [
        count
        for count, times in found.items()
        if all(times[name] < GAIN * usual[name] for name in ("p50", percentile))
    ]
    return min(better, key=lambda count: found[count][percentile], default=threads)


def _limited(run: Run, folder: Path, count: int) -> Path:
    def work(target: Path) -> dict[str, int]:
        limit_threads(folder, target, count)
        return {"threads": count}

    return run.workspace.produce("model", {"at_most": count}, [content_of(folder)], work).path

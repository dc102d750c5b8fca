"""With how many threads a model answers soonest: a small one spends its time on waking them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lighten.export.threads import limit_threads
from lighten.measure.cost import time_in_fresh_process, timing_run
from lighten.measure.latency import Latency
from lighten.measure.timing import MIN_CALLS
from lighten.runtime import read_folder
from lighten.search.memory.known import wants_throughput
from lighten.search.run import Run

GAIN = 0.9
"""Share of the target's latency below which fewer threads are worth the texts per second that they cost."""
SMALL_MS = 0.5
"""Median of a call above which fewer threads are not tried for every shape: on two cores they were not quicker there
(docs/decisions.md, 2026-11-23). The model that is chosen is timed with them whatever it takes."""
SECONDS = 0.25
"""For the timings of a model with each number of threads."""


def counts_of(asked: list[int] | None, threads: int) -> list[int]:
    """Return the numbers of threads to consider, the largest first: as asked, else the target's and its halves."""
    if asked is not None:
        return sorted(set(asked), reverse=True)
    return [threads >> step for step in range(threads.bit_length())]


def considered(run: Run) -> list[int]:
    """Return the numbers of threads that timings may choose from: the target's alone where none may.

    None may where throughput is asked for, which more threads are good for, and where no timing is to decide.
    """
    threads = run.recipe.target.threads
    if not run.by_clock or wants_throughput(run.recipe):
        return [threads]
    return counts_of(run.recipe.search.threads, threads)


def quickest(found: Mapping[int, Mapping[str, float]], threads: int, percentile: str) -> int:
    """Return the number of threads to serve with.

    Args:
        found: milliseconds by statistic (``p50`` and others) by number of threads.
        threads: of the target, taken unless fewer are clearly quicker by the median and by what the budget is about.
        percentile: that the budget is about.
    """
    usual = found[threads]
    better = [
        count
        for count, times in found.items()
        if all(times[name] < GAIN * usual[name] for name in ("p50", percentile))
    ]
    return min(better, key=lambda count: found[count][percentile], default=threads)


def statistics(timed: Latency) -> dict[str, float]:
    """Return the milliseconds that `quickest` compares."""
    return {"mean": timed.mean, "p50": timed.p50, "p95": timed.p95}


def with_fewer_threads(
    run: Run, folders: Mapping[str, Path], timed: Mapping[str, Latency], scratch: Path
) -> dict[str, Latency]:
    """Return the latencies of those models that are clearly quicker with fewer threads than the target has.

    Only what takes less than `SMALL_MS` is timed again, with each number of threads side by side; cascades are not.

    Args:
        run: the build.
        folders: model folders by name.
        timed: their latencies with the target's threads.
        scratch: an existing folder for the same models with other numbers of threads.
    """
    target, counts = run.recipe.target, considered(run)
    small = [name for name, one in timed.items() if one.p50 < SMALL_MS and read_folder(folders[name]).cascade is None]
    if len(counts) == 1 or not small:
        return {}
    variants: dict[tuple[str, int], Path] = {}
    for number, name in enumerate(small):
        for count in counts:
            variants[name, count] = folders[name]
            if count != target.threads:
                variants[name, count] = scratch / f"{number}.{count}"
                variants[name, count].mkdir()
                limit_threads(folders[name], variants[name, count], count)
    keys = {str(number): key for number, key in enumerate(variants)}
    once = timing_run(target.batch, target.tokens, MIN_CALLS, SECONDS * len(keys))
    named = {key: variants[variant] for key, variant in keys.items()}
    again = time_in_fresh_process(named, target.threads, [once], run.recipe.seed)[0]
    found: dict[str, dict[int, Latency]] = {name: {} for name in small}
    for key, (name, count) in keys.items():
        found[name][count] = again[key]
    chosen: dict[str, Latency] = {}
    for name, by_count in found.items():
        times = {count: statistics(one) for count, one in by_count.items()}
        count = quickest(times, target.threads, run.recipe.budget.latency_percentile)
        if count != target.threads:
            chosen[name] = by_count[count]
    return chosen

"""Exports the grid of a cost model with random weights and measures it: time side by side, memory one by one."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lighten.measure.cost import LARGE_BATCH, time_in_fresh_process, timing_run
from lighten.measure.memory import peak_memory_mb
from lighten.measure.size import size_mb
from lighten.models.layout import Shape
from lighten.progress import Progress, Stage
from lighten.search.cost.grid import SMALL, Condition, Grid
from lighten.search.cost.law import TAIL_CALLS, Sample
from lighten.search.cost.memory import Weighed, tokenizer_mb
from lighten.search.cost.setting import Setting, write_plain_tokenizer, write_shape

SECONDS = 30.0
"""For all timings together at most, as far as three rounds of each allow."""
CUT_AFTER = 8
"""A timing that has not its calls after so many times its `seconds` ends with those it has; see `measure.timing`."""
SHORT_ROWS = 600
"""Rows up to which calls are short enough to time many."""
SHARES = {"exports": 0.25, "timings": 0.6, "memory": 0.15}
"""Of the work, for the progress shown."""

PrecisionThreads = tuple[bool, int]
"""Whether int8, and how many threads: a law is fitted to each."""


@dataclass(frozen=True)
class Measured:
    """Everything that was measured on a grid."""

    times: dict[PrecisionThreads, list[Sample]]
    weighed: list[Weighed]


def measure_grid(setting: Setting, grid: Grid, progress: Progress, tick: Callable[[], None]) -> Measured:
    """Export and measure every shape of the grid in fp32 and int8.

    Args:
        setting: see there.
        grid: see there.
        progress: where to report.
        tick: called now and then, for a clock to save what was spent.
    """
    scratch = Path(tempfile.mkdtemp(prefix="lighten-costs."))
    try:
        with progress.stage("cost model of this machine", total=1.0) as stage:
            folders = _export(setting, grid, scratch, stage, tick)
            times = _time(setting, grid, folders, stage, tick)
            sizes = [
                Weighed(grid.shapes[i], int8, setting.batch, setting.tokens, _without_tokenizer(folder))
                for (i, int8), folder in folders.items()
            ]
            weighed = _weigh(setting, grid, folders, scratch, stage, tick) if setting.memory else []
        return Measured(times, sizes + weighed)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _export(
    setting: Setting, grid: Grid, scratch: Path, stage: Stage, tick: Callable[[], None]
) -> dict[tuple[int, bool], Path]:
    plain = write_plain_tokenizer(scratch / "tokenizer", min(SMALL, setting.full.vocabulary))
    wanted = [(index, int8) for index in range(len(grid.shapes)) for int8 in (False, True)]
    folders = {}
    for done, (index, int8) in enumerate(wanted):
        folder = scratch / f"{index}-{int8}"
        folders[index, int8] = write_shape(setting, folder, grid.shapes[index], int8, plain)
        stage.update(SHARES["exports"] * (done + 1) / len(wanted))
        tick()
    return folders


def _time(
    setting: Setting, grid: Grid, folders: dict[tuple[int, bool], Path], stage: Stage, tick: Callable[[], None]
) -> dict[PrecisionThreads, list[Sample]]:
    """Time every group of conditions with its shapes side by side, in a fresh process per number of threads."""
    found: dict[PrecisionThreads, list[Sample]] = {}
    groups = grid.groups()
    share = seconds_by_condition(setting, grid)
    work = [(threads, conditions, shapes) for threads in grid.threads for conditions, shapes in groups]
    for done, (threads, conditions, shapes) in enumerate(work):
        chosen = {str(folder): key for key, folder in folders.items() if key[0] in shapes}
        runs = [timing_run(*one, _calls(one, setting), share[one] / CUT_AFTER) for one in conditions]

        def report(inside: float, done: int = done) -> None:
            stage.update(SHARES["exports"] + SHARES["timings"] * (done + inside) / len(work))
            tick()

        timed = time_in_fresh_process({name: Path(name) for name in chosen}, threads, runs, setting.seed, report)
        for (batch, tokens), latencies in zip(conditions, timed, strict=True):
            for name, (index, int8) in chosen.items():
                latency = latencies[name]
                numbers = (latency.p50, latency.p95, latency.calls, latency.mean)
                sample = Sample(grid.shapes[index], batch, tokens, *numbers)
                found.setdefault((int8, threads), []).append(sample)
    return found


def seconds_by_condition(setting: Setting, grid: Grid) -> dict[Condition, float]:
    """Return the seconds each condition may take with one number of threads: more where calls are long.

    The two that limits are about, the target's and that of throughput, get twice as much.
    """
    limited = ((setting.batch, setting.tokens), (LARGE_BATCH, setting.tokens))
    longest = max(batch * tokens for batch, tokens in grid.conditions)
    wanted = {
        (batch, tokens): (1 + 3 * math.sqrt(batch * tokens / longest)) * (2 if (batch, tokens) in limited else 1)
        for batch, tokens in grid.conditions
    }
    free = SECONDS / len(grid.threads) / sum(wanted.values())
    return {condition: free * weight for condition, weight in wanted.items()}


def _calls(condition: Condition, setting: Setting) -> int:
    batch, tokens = condition
    short = batch * tokens <= SHORT_ROWS or condition == (setting.batch, setting.tokens)
    return 30 if short else TAIL_CALLS // 4


def _weigh(
    setting: Setting,
    grid: Grid,
    folders: dict[tuple[int, bool], Path],
    scratch: Path,
    stage: Stage,
    tick: Callable[[], None],
) -> list[Weighed]:
    """Measure memory where matrices, tables with their tokenizer, and batches are large or small in turn."""
    whole = grid.shapes[-1].with_(layers=1, vocabulary=setting.full.vocabulary)
    here, large = (setting.batch, setting.tokens), (LARGE_BATCH, setting.tokens)
    plain = min(SMALL, setting.full.vocabulary)
    work: list[tuple[Shape, bool, Condition, Path, int]] = []
    for int8 in (False, True):
        # Its ids are those of the whole vocabulary: the real tokenizer goes with no smaller table.
        real = write_shape(setting, scratch / f"whole-{int8}", whole, int8, setting.tokenizer)
        work += [(grid.shapes[i], int8, at, folders[i, int8], plain) for i, at in _corners(grid, here, large)]
        work.append((whole, int8, here, real, whole.vocabulary))
    found = []
    for done, (shape, int8, (batch, tokens), folder, pieces) in enumerate(work):
        peak = peak_memory_mb(folder, {**setting.target, "batch": batch, "tokens": tokens})
        found.append(Weighed(shape, int8, batch, tokens, _without_tokenizer(folder), peak, pieces))
        stage.update(1 - SHARES["memory"] * (1 - (done + 1) / len(work)))
        tick()
    return found


def _corners(grid: Grid, here: Condition, large: Condition) -> list[tuple[int, Condition]]:
    """Return (shape, condition) of the most and the fewest parameters, and of the largest table of embeddings."""
    order = sorted(range(len(grid.shapes)), key=lambda i: grid.shapes[i].encoder_parameters)
    table = max(order, key=lambda i: grid.shapes[i].vocabulary * grid.shapes[i].hidden)
    return list(dict.fromkeys([(order[-1], here), (order[0], here), (order[0], large), (table, here)]))


def _without_tokenizer(folder: Path) -> float:
    return size_mb(folder) - tokenizer_mb(folder)

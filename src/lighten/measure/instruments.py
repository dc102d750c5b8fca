"""What a proof measures with: answers, timings, memory and cold start, each from fresh processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lighten.measure.cold_start import cold_start_ms
from lighten.measure.cost import LARGE_BATCH, Folders, Share, Target, as_text, time_in_fresh_process, timing_run
from lighten.measure.examples import read_groups
from lighten.measure.latency import Latency
from lighten.measure.memory import peak_memory_mb
from lighten.measure.process import ask
from lighten.measure.quality import Answers
from lighten.measure.timing import MIN_CALLS

Timed = dict[str, dict[str, Latency]]
"""Timings by condition (``target``, ``one``: batch 1, ``large``: batch 32), then by name."""


def quality_on(
    folders: Folders, examples: Path, *, threads: int, batch: int = 1, progress: Share | None = None
) -> Answers:
    """Run models over labelled examples in a fresh process.

    Args:
        folders: model folders by name; their labels may be in different orders, the first one's is kept.
        examples: JSON lines of text and label.
        threads: of each prediction.
        batch: most texts per call.
        progress: called with the share that is done.
    """
    request = {
        "do": "logits",
        "folders": as_text(folders),
        "examples": str(examples),
        "threads": threads,
        "batch": batch,
    }
    found = ask(request, progress)
    return Answers(
        labels=tuple(found["labels"]),
        truth=np.array(found["truth"], dtype=np.int64),
        logits={name: np.array(rows, dtype=np.float32) for name, rows in found["logits"].items()},
        groups=read_groups(examples),
        passed_on={name: np.array(flags, dtype=np.bool_) for name, flags in found["passed_on"].items()},
    )


def batches_of(target: Target) -> dict[str, int]:
    """Return the texts per call by condition."""
    return {"target": target["batch"], "one": 1, "large": LARGE_BATCH}


def time_conditions(folders: Folders, target: Target, seed: int, seconds: float, progress: Share) -> Timed:
    """Time at the target's batch, at batch 1 and at the large one; equal conditions are timed once."""
    batches = batches_of(target)
    distinct = list(dict.fromkeys(batches.values()))
    # Where the target's batch is the large one, its p95 needs the calls.
    runs = [
        timing_run(
            batch,
            target["tokens"],
            12 if batch == LARGE_BATCH != target["batch"] else MIN_CALLS,
            seconds / len(distinct),
        )
        for batch in distinct
    ]
    timed = time_in_fresh_process(folders, target["threads"], runs, seed, progress)
    return {name: timed[distinct.index(batch)] for name, batch in batches.items()}


class Instruments:
    """Measures everything anew; a subclass may answer from what was measured before."""

    def answer(self, folders: Folders, examples: Path, target: Target, progress: Share) -> Answers:
        """Return what models say to labelled examples, at the target's batch."""
        return quality_on(folders, examples, threads=target["threads"], batch=target["batch"], progress=progress)

    def time(self, folders: Folders, target: Target, seed: int, seconds: float, progress: Share) -> Timed:
        """Return the timings of models side by side; see `time_conditions`."""
        return time_conditions(folders, target, seed, seconds, progress)

    def weigh(self, folder: Path, target: Target) -> float:
        """Return the peak memory of a process that serves the model, in millions of bytes."""
        return peak_memory_mb(folder, target)

    def start(self, folder: Path) -> float:
        """Return the milliseconds from nothing to the first answer."""
        return cold_start_ms(folder)

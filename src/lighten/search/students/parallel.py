"""Several students at the same time, each in a process of its own: on this machine, or as tasks of Ray.

A worker that dies is no failure: the build then trains that student itself, from the checkpoints that are left.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from threading import Event
from typing import Any

from lighten.errors import LightenError
from lighten.measure.process import ask
from lighten.pipeline.ray import ray_started
from lighten.progress import Progress

MODULE = "lighten.search.students.worker"


def threads_each(workers: int) -> int:
    """Return the threads of each of several workers on this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // workers)


def train_apart(
    requests: Sequence[dict[str, Any]],
    names: Sequence[str],
    executor: str,
    progress: Progress,
    heed: Callable[[], None] = lambda: None,
) -> None:
    """Carry out requests of `lighten.search.students.worker` at the same time; says which of them died.

    Args:
        requests: JSON-ready, one per student.
        names: of the students.
        executor: ``local`` or ``ray``.
        progress: told the share done of each.
        heed: called whenever a worker reports; raises where the work is to be broken off, see `Work.heed`.
    """
    if executor == "ray":
        _on_ray(requests, names, progress)
        return

    def one(number: int) -> str | None:
        with progress.stage(f"{names[number]} (worker {number + 1})", total=1.0) as stage:

            def told(share: float) -> None:
                if ended.is_set():
                    raise CancelledError  # `ask` ends the worker
                heed()
                stage.update(share)

            try:
                ask({**requests[number], "do": "student"}, told, worker=MODULE)
            except LightenError as error:
                return f"the worker that trained {names[number]} ended: {error}"
        return None

    ended = Event()
    with ThreadPoolExecutor(len(requests)) as pool:
        try:
            for words in pool.map(one, range(len(requests))):
                if words is not None:
                    progress.note(words)
        except BaseException:
            ended.set()  # or leaving the pool would wait for every training to come to its end
            raise


def _on_ray(requests: Sequence[dict[str, Any]], names: Sequence[str], progress: Progress) -> None:
    from lighten.search.students.worker import student

    ray = ray_started()
    remote = ray.remote(student)
    running = [remote.remote(request) for request in requests]
    for name, reference in zip(names, running, strict=True):
        try:
            ray.get(reference)
        except Exception as error:  # whatever a worker died of, the build trains the student itself
            progress.note(f"the worker that trained {name} ended: {error}")

"""Several students at the same time, each in a process of its own: on this machine, or as tasks of Ray.

A worker that dies is no failure: the build then trains that student itself, from the checkpoints that are left.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from threading import Event
from typing import Any

from lighten.measure.process import ask
from lighten.pipeline.ray import ray_started
from lighten.progress import Progress

MODULE = "lighten.search.students.worker"
POLL = 0.5
"""Seconds after which the trainings are looked at again."""


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
        heed: called every second or so, by the thread that called this; what it raises ends every training.
    """
    run = _on_ray if executor == "ray" else _here
    for name, error in run(requests, names, progress, heed):
        progress.note(f"the worker that trained {name} ended: {error}")


def _here(
    requests: Sequence[dict[str, Any]], names: Sequence[str], progress: Progress, heed: Callable[[], None]
) -> list[tuple[str, BaseException]]:
    """Carry out requests in processes of this machine; returns the names of those that died, and of what."""
    ended = Event()

    def one(number: int) -> None:
        with progress.stage(f"{names[number]} (worker {number + 1})", total=1.0) as stage:

            def told(share: float) -> None:
                if ended.is_set():
                    raise CancelledError  # `ask` ends the worker
                stage.update(share)

            ask({**requests[number], "do": "student"}, told, worker=MODULE)

    with ThreadPoolExecutor(len(requests)) as pool:
        futures = [pool.submit(one, number) for number in range(len(requests))]
        try:
            while wait(futures, timeout=POLL).not_done:
                heed()
        except BaseException:
            ended.set()  # or leaving the pool would wait for every training to come to its end
            raise
        died = [(name, future.exception()) for name, future in zip(names, futures, strict=True)]
    return _deaths(died)


def _on_ray(
    requests: Sequence[dict[str, Any]], names: Sequence[str], progress: Progress, heed: Callable[[], None]
) -> list[tuple[str, BaseException]]:
    """Carry out requests as tasks of Ray; returns the names of those that died, and of what."""
    from lighten.search.students.worker import student

    ray = ray_started()
    remote = ray.remote(student)
    tasks = [remote.remote(request) for request in requests]
    pending = list(tasks)
    with progress.stage(f"{len(tasks)} students on Ray", total=len(tasks)) as stage:
        try:
            while pending:
                _, pending = ray.wait(pending, num_returns=len(pending), timeout=POLL)
                stage.update(len(tasks) - len(pending))
                heed()
        except BaseException:
            for task in pending:
                ray.cancel(task, force=True)
            raise
    return _deaths([(name, _failure(ray, task)) for name, task in zip(names, tasks, strict=True)])


def _failure(ray: Any, task: Any) -> BaseException | None:
    try:
        ray.get(task)
    except Exception as error:  # a task may raise anything, and Ray's own errors when its machine is gone
        return error
    return None


def _deaths(found: Sequence[tuple[str, BaseException | None]]) -> list[tuple[str, BaseException]]:
    """Return those that failed; what is no failure of a worker (Ctrl-C) is raised."""
    deaths = [(name, error) for name, error in found if error is not None]
    for _, error in deaths:
        if not isinstance(error, Exception):
            raise error
    return deaths

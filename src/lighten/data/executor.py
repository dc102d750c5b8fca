"""Runs the tasks of a job: in this process, in several on this machine, or on Ray; the outcome is the same."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

from lighten.data.job import JobFolder
from lighten.data.task import task
from lighten.errors import BuildError, InputError, MissingExtraError
from lighten.pipeline import read_json
from lighten.progress import Stage

Executor = Literal["local", "ray"]
_POLL = 0.05


def run_tasks(folder: JobFolder, workers: int, executor: Executor = "local", stage: Stage | None = None) -> None:
    """Do all chunks of a job.

    Args:
        folder: of the job; with Ray one that all machines see.
        workers: processes; with 1 the work is done in this one.
        executor: where.
        stage: told how many chunks are done.

    Raises:
        InputError: what is wrong with the first chunk at fault.
        BuildError: a process died; what was finished is kept.
    """
    total = len(folder.job.chunks)
    world = max(1, min(workers, total))
    if executor == "ray":
        _on_ray(folder.path, world)
    elif world == 1:
        task(folder.path, 0, 1, lambda index: _show(stage, index + 1, total))
    else:
        _in_processes(folder, world, stage, total)
    _raise_first(folder, total)


def _show(stage: Stage | None, done: int, total: int) -> None:
    if stage is not None:
        stage.update(done, total)


def _in_processes(folder: JobFolder, world: int, stage: Stage | None, total: int) -> None:
    """Start fresh interpreters: unlike a fork they are safe beside threads, and need no guard in the user's script."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    environment = {**os.environ, "POLARS_MAX_THREADS": str(max(1, cores // world))}
    command = [sys.executable, "-m", "lighten.data.task", str(folder.path.resolve())]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(world)], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        for rank in range(world)
    ]
    try:
        while any(process.poll() is None for process in processes):
            time.sleep(_POLL)
            _show(stage, sum(folder.marker(index).exists() for index in range(total)), total)
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
                process.wait()


def _on_ray(folder: Path, world: int) -> None:
    ray = _ray()
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    remote = ray.remote(task)
    ray.get([remote.remote(str(folder.resolve()), rank, world) for rank in range(world)])


def _ray() -> Any:
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("ray", "cluster")
    return importlib.import_module("ray")


def _raise_first(folder: JobFolder, total: int) -> None:
    """Raise the error of the first chunk that has one: the one that a single process would have met."""
    for index in range(total):
        if folder.error(index).is_file():
            found = read_json(folder.error(index))
            if found["status"] != InputError.exit_code:
                raise BuildError(f"preparing data, chunk {index}: {found['text']}")
            where = found["where"]
            raise InputError(found["text"].removeprefix(f"{where}: ") if where else found["text"], where)
        if not folder.marker(index).exists():
            raise BuildError("a process that prepared data died; run the same command to go on with what is left")

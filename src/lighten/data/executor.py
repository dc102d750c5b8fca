"""Runs the tasks of a job: in this process, in several on this machine, or on Ray; the outcome is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from lighten.data.crew import Crew
from lighten.data.job import JobFolder
from lighten.data.task import task
from lighten.errors import BuildError, InputError
from lighten.pipeline import read_json
from lighten.pipeline.ray import ray_started
from lighten.progress import Stage

Executor = Literal["local", "ray"]


def run_tasks(
    folder: JobFolder, workers: int, executor: Executor = "local", stage: Stage | None = None, crew: Crew | None = None
) -> None:
    """Do all chunks of a job.

    Args:
        folder: of the job; with Ray one that all machines see.
        workers: processes, this one among them; with 1 all the work is done in this one.
        executor: where.
        stage: told how many chunks are done.
        crew: helpers of other jobs; without it those of this job are dismissed at its end.

    Raises:
        InputError: what is wrong with the first chunk at fault.
        BuildError: a process died; what was finished is kept.
    """
    total = len(folder.job.chunks)
    world = max(1, min(workers, total))
    if executor == "ray":
        _on_ray(folder.path, world)
    elif crew is not None:
        crew.work(folder, world, stage)
    else:
        with Crew() as own:
            own.work(folder, world, stage)
    _raise_first(folder, total)


def _on_ray(folder: Path, world: int) -> None:
    ray = ray_started()
    remote = ray.remote(task)
    running = [remote.remote(str(folder.resolve()), rank, world) for rank in range(world)]
    try:
        ray.get(running)
    except BaseException:  # Ctrl-C, or the first task that died: the others must not work on unseen
        for one in running:
            ray.cancel(one, force=True)
        raise


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

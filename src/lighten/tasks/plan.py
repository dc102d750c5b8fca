"""`lighten plan`: the peak memory and the time of a training, predicted before it starts."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lighten.pipeline import Clock
from lighten.progress import Progress
from lighten.recipe import Recipe
from lighten.tasks.job import Built, Job, Setup
from lighten.tasks.members import count_members
from lighten.tasks.opening import identify, prepare
from lighten.tasks.settings import settings_of
from lighten.train.datasets.dataset import longest_row
from lighten.train.estimate import estimate
from lighten.train.parallel.auto import choose, memory_per_process
from lighten.train.parallel.group import Process, threads
from lighten.train.parallel.strategy import Strategy
from lighten.train.precision import Precision, choose_by_step
from lighten.train.probing import step, still_optimizer, untouched
from lighten.train.settings import Settings

SECONDS = 2.0
"""To spend on timing steps."""
COMPILED_MB, COMPILED_SHAPES = 13.0, 55
"""Memory in bf16 on a CPU for each size of batch, and sizes that count: fitted by hand to MiniLM, see
`benchmarks/probe_memory.py` for how memory grows."""
STEPS = 6
"""Of the first epoch that are timed at most, from the shortest texts to the longest."""


def plan(recipe: Recipe, *, base: Path | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Return what `lighten train` will take on this machine, without training.

    Args:
        recipe: what would be trained.
        base: folder that relative sources are relative to.
        progress: where to report.

    Returns:
        ``predicted`` (see `prediction`), ``clock``, what was chosen and why, and the size of the data.

    Raises:
        InputError: bad recipe, data or model.
    """
    from lighten.tasks.run import task_of

    progress = progress or Progress()
    parallel = recipe.train.parallel
    processes = parallel.processes or 1
    here = Process(0, processes, 0, processes)
    with tempfile.TemporaryDirectory() as folder, _threads_of(here):
        scope, source = identify(recipe, base, progress)
        table = prepare(recipe, Path(folder), base, progress, scope)
        clock, strategy = Clock(recipe.clock_seconds), Strategy(device=here.device)
        job = Job(recipe, source, table.path, Path(folder), strategy, clock, progress, only_plan=True)
        setup: Setup = task_of(job).setup()
        clock.before += setup.ahead_seconds  # as if it had been done
        built = setup.build()
        base_mb = built.base_mb()  # before steps are timed: memory that they free stays with the process
        count = sum(parameter.numel() for parameter in built.model.parameters())
        chosen = choose(parallel.kind, count, memory_per_process(here), processes, here.device.type == "cuda")
        settings = settings_of(recipe, setup, clock, _copies(chosen.name, processes))
        precision = choose_by_step(built.model, middle_batch(setup), setup.objective, here.device, settings.precision)
        found = prediction(job, setup, built, settings, precision, chosen.name, processes, base_mb)
        built.undo.close()
    return {
        "kind": "plan",
        "predicted": found,
        "clock": None if recipe.clock_seconds is None else {"limit_seconds": recipe.clock_seconds},
        "precision": f"{precision.name}: {precision.reason}",
        "parallel": f"{chosen.name}: {chosen.reason}",
        "tokens_per_batch": setup.sampler.budget,
        "steps_per_epoch": len(setup.sampler.batches(0)),
        "padded_share": round(setup.sampler.padded_share, 4),
        "learning_rate": settings.learning_rate,
        "data": {"tokens": setup.facts.get("tokens"), "long_texts": job.facts.get("long_texts")},
    }


def prediction(
    job: Job,
    setup: Setup,
    built: Built,
    settings: Settings,
    precision: Precision,
    parallel: str = "none",
    processes: int = 1,
    base_mb: float | None = None,
) -> dict[str, Any]:
    """Return the predicted peak memory of a process and seconds of the training, validations and data included.

    Returns:
        ``peak_memory_mb``, ``seconds``, ``parts`` in megabytes, ``tokens_per_second``, ``notes``.
    """
    train = job.recipe.train
    started = job.clock.spent
    budget = job.clock.budget
    if not train.parallel.cpu_offload:
        built.model.to(job.strategy.device)  # where the format was asked for nothing has moved it yet
    speed, look = measured_speed(built.model, setup, precision, min(SECONDS, 0.01 * (budget or 1e9)))
    look /= _copies(parallel, processes)
    found = estimate(
        built.model,
        settings,
        setup.sampler.dataset.lengths,
        setup.sampler.budget,
        settings.micro_tokens,
        precision,
        base_mb=base_mb,
        tokens_per_second=speed,
        row=longest_row(setup.sampler.dataset),
        frozen_layers=0 if setup.facts.get("cached") else train.freeze,  # with a cache the model is its top alone
        checkpointing=train.gradient_checkpointing,
        predicted=setup.predicted_share,
        processes=processes,
        parallel=parallel,
        cpu_offload=train.parallel.cpu_offload,
        device=job.strategy.device.type,
    )
    seconds, notes = found.seconds_total, list(found.notes)
    if seconds is not None:
        epochs = seconds / found.seconds_per_epoch if found.seconds_per_epoch else 0.0
        looks = 1 + epochs * settings.validations_per_epoch + settings.last_looks
        seconds = started + seconds + looks * look
        if settings.seconds is not None:
            seconds = min(seconds, job.clock.budget or seconds)
    compiled = 0.0
    if precision.name == "bf16" and job.strategy.device.type == "cpu":
        shapes = {setup.sampler.lengths(one).max() * len(one.index) for one in setup.sampler.batches(0)}
        compiled = COMPILED_MB * min(len(shapes), COMPILED_SHAPES)
    # Where several trainings are averaged: how they all start, and the average.
    copies = 2 * found.parameters_mb if count_members(job, setup, found.tokens_per_second) > 1 else 0.0
    return {
        "peak_memory_mb": round(found.per_process_mb + compiled + copies, 1),
        "seconds": None if seconds is None else round(seconds, 1),
        "parts": {
            "parameters": found.parameters_mb,
            "best weights": found.best_mb,
            "gradients": found.gradients_mb,
            "optimizer": found.optimizer_mb,
            "activations": found.activations_mb,
            "compiled products": round(compiled, 1),
            "averaged weights": round(copies, 1),
            "base": found.base_mb,
        },
        "tokens_per_second": found.tokens_per_second,
        "steps": found.steps,
        "notes": notes,
    }


def _copies(parallel: str, processes: int) -> int:
    """Return how many copies of the model share a look."""
    return processes if parallel in ("ddp", "fsdp") else 1


@contextmanager
def _threads_of(here: Process) -> Iterator[None]:
    """Give this process the threads of one of several that train together; speed is multiplied by their number."""
    share, before = threads(here.local_size), torch.get_num_threads()
    if here.world_size > 1 and share is not None:
        torch.set_num_threads(share)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def middle_batch(setup: Setup) -> Any:
    """Return the batch of middle size of the first epoch."""
    steps = setup.sampler.batches(0)
    if hasattr(setup.objective, "state_dict"):  # one that goes on from step to step can only begin at the first
        return setup.sampler.batch(0, steps[0])
    order = np.argsort([int(setup.sampler.lengths(one).sum()) for one in steps], kind="stable")
    return setup.sampler.batch(0, steps[int(order[len(order) // 2])])


def measured_speed(model: Any, setup: Setup, precision: Precision, seconds: float = SECONDS) -> tuple[float, float]:
    """Return the tokens per second of real steps on real batches, and the seconds that a look at validation takes.

    A forward pass takes a third of a step (training: forward, gradients of activations, gradients of weights).
    """
    sampler, device = setup.sampler, next(model.parameters()).device
    steps = sampler.batches(0)[:200]
    order = np.argsort([int(sampler.lengths(one).sum()) for one in steps], kind="stable")
    chosen = [steps[int(order[int(at)])] for at in np.linspace(len(order) - 1, 0, min(STEPS, len(order)))]
    if hasattr(setup.objective, "state_dict"):
        chosen = steps[: STEPS + 1]
    tokens = spent = 0.0
    with untouched(model, setup.objective):
        model.train()
        optimizer = still_optimizer(model)
        # The first one wakes the threads.
        step(model, sampler.batch(0, chosen[0]), setup.objective, precision, optimizer, device)
        for one in chosen[1:] or chosen:
            batch = sampler.batch(0, one)
            begun = time.perf_counter()
            step(model, batch, setup.objective, precision, optimizer, device)
            spent += time.perf_counter() - begun
            tokens += float(sampler.lengths(one).sum())
            if spent > seconds:
                break
    speed = tokens / max(spent, 1e-9)
    held_out = (setup.facts.get("tokens") or {}).get("validation", 0)
    return speed, held_out / (3 * speed)

"""From a recipe to the loop's settings: the user's wishes, the task's choices, and what is found by trying."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lighten.pipeline import Clock, read_json, write_json
from lighten.recipe import Recipe
from lighten.tasks.job import Built, Job, Setup
from lighten.tasks.opening import FOUND
from lighten.tasks.outcome import saving
from lighten.tasks.parallel import Processes
from lighten.train.micro_probe import largest_micro
from lighten.train.precision import Precision, agreed, choose_by_step
from lighten.train.range_probe import probe_rate
from lighten.train.settings import Settings
from lighten.train.training_memory import Method

PROBE_SHARE = 0.05
"""Of the clock that a learning-rate range probe may take."""
CLOSING_SECONDS = 2.5
"""For the model to be saved and the page to be written, at the end of a clock."""


def settings_of(recipe: Recipe, setup: Setup, clock: Clock, copies: int = 1) -> Settings:
    """Return how to train: the recipe's wishes, and the task's choices where it says ``auto``.

    Args:
        recipe: of the user.
        setup: of the task.
        clock: of the whole command.
        copies: of the model among which a look is shared; the test part is one process's work.
    """
    train = recipe.train
    rate = train.learning_rate
    return Settings(
        epochs=recipe.train_epochs,
        seconds=None if clock.budget is None else max(1.0, clock.left - CLOSING_SECONDS),
        last_looks=1.0 + setup.test_share * copies,  # the last one, and the test part
        learning_rate=setup.rate if isinstance(rate, str) else rate,
        schedule=train.schedule,
        warmup=train.warmup,
        decay=train.decay,
        optimizer=train.optimizer,
        weight_decay=train.weight_decay,
        clip=train.clip,
        validations_per_epoch=train.validations_per_epoch,
        patience=train.patience,
        cooldown=train.cooldown,
        restore_margin=setup.restore_margin if train.restore_margin is None else train.restore_margin,
        precision=train.precision,
        micro_tokens=train.micro_tokens if isinstance(train.micro_tokens, int) else None,
        recoveries=train.recoveries,
        checkpoint_seconds=train.checkpoint_seconds,
        seed=recipe.seed,
    )


def precision_of(job: Job, setup: Setup, built: Built, processes: Processes) -> Precision:
    """Return the number format: as asked for, or timed on a batch; the same on all processes.

    What was chosen is kept in the work folder: an interrupted training goes on in the same one.
    """
    from lighten.tasks.plan import middle_batch

    device = processes.here.device
    file = _kept(job, "precision")

    def find() -> dict[str, Any]:
        chosen = choose_by_step(built.model, middle_batch(setup), setup.objective, device, job.recipe.train.precision)
        return vars(chosen)

    known = read_json(file) if file.exists() else None
    chosen = Precision(**(known or find()))
    chosen = agreed(chosen, processes.agree)
    if known is None and processes.rank == 0:
        with saving("choice"):
            write_json(file, vars(chosen))
    job.progress.note(f"precision {chosen.name}: {chosen.reason}")
    return chosen


def probed(job: Job, setup: Setup, built: Built, settings: Settings, chosen: Precision) -> Settings:
    """Return the settings with what is found by trying: the micro-batch, and the learning rate where asked for.

    All processes find the same, and an interrupted training what it found before.
    """
    strategy, progress, train = job.strategy, job.progress, job.recipe.train
    settings = _with_closing(job, setup, built, replace(settings, precision=chosen))
    if train.micro_tokens == "auto":
        method = Method(
            # With a cache the model is its top alone by now.
            frozen_layers=0 if setup.facts.get("cached") else train.freeze,
            checkpointing=train.gradient_checkpointing,
            predicted=setup.predicted_share,
            processes=strategy.world_size,
            parallel=strategy.name,
            cpu_offload=train.parallel.cpu_offload,
        )
        most = largest_micro(
            built.model, setup.sampler, setup.objective, chosen, method=method, device=strategy.device
        )
        most = int(strategy.agree(float(most)))
        if most < setup.sampler.budget // max(1, strategy.copies):
            progress.note(f"micro-batches of {most} tokens: that is what fits in memory")
            settings = replace(settings, micro_tokens=most)
    if train.learning_rate == "probe":
        settings = replace(settings, learning_rate=_rate(job, setup, built, settings, chosen))
    return settings


def _with_closing(job: Job, setup: Setup, built: Built, settings: Settings) -> Settings:
    """Keep free at the end of the clock what measuring the finished model takes besides a last look."""
    if setup.closing_time is None or settings.seconds is None:
        return settings
    time_it = setup.closing_time
    found = kept_choice(job, "closing", lambda: {"seconds": round(time_it(built.model), 3)})
    setup.closing_seconds = float(job.strategy.agree(found["seconds"]))
    return replace(settings, seconds=max(1.0, settings.seconds - setup.closing_seconds))


def _rate(job: Job, setup: Setup, built: Built, settings: Settings, chosen: Precision) -> float:
    """Return the probed learning rate: that of the first attempt, the first process's."""
    file, strategy = _kept(job, "rate"), job.strategy
    if file.exists():
        return float(strategy.agree(float(read_json(file)["rate"])))
    found = probe_rate(
        built.model,
        setup.sampler,
        setup.objective,
        chosen,
        seconds=None if job.clock.budget is None else PROBE_SHARE * job.clock.left,
        seed=settings.seed,
        settings=settings,
    )
    rate = float(strategy.agree(found.rate))
    job.progress.note(f"learning rate {rate:.2g}: {found.reason}")
    if strategy.rank == 0:
        write_json(file, {"rate": rate, "reason": found.reason, "curve": found.curve})
    return rate


def _kept(job: Job, name: str) -> Path:
    """Return where something that was found by trying is kept for this very training: its table is its alone."""
    return job.work / FOUND / job.table.name / f"{name}.json"


def kept_choice(job: Job, name: str, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what was found by trying at the first attempt of this training, or find it now and keep it.

    Raises:
        BuildError: it cannot be kept.
    """
    file = _kept(job, name)
    if not file.exists():
        found = find()
        with saving("choice"):
            write_json(file, found)
    return dict(read_json(file))

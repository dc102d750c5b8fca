"""`lighten train` from recipe to result; read it from top to bottom."""

from __future__ import annotations

import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lighten.measure.machine import describe
from lighten.measure.memory import own_peak_mb
from lighten.pipeline import Clock, read_json, write_json, write_text
from lighten.pipeline.artifact import versions
from lighten.pipeline.lock import locked
from lighten.progress import Progress
from lighten.recipe import Recipe
from lighten.tasks.frozen import forget_activations, forget_leftovers
from lighten.tasks.job import Job, Setup
from lighten.tasks.members import Members, count_members
from lighten.tasks.opening import forget, forget_checkpoints, identify, prepare
from lighten.tasks.outcome import judged, save_model, whole, write_result
from lighten.tasks.parallel import Processes, joined, strategy_for
from lighten.tasks.plan import prediction
from lighten.tasks.settings import precision_of, probed, settings_of
from lighten.train.checkpoint import Checkpoints
from lighten.train.compiled import keep_few
from lighten.train.metrics import JsonLines, Sink
from lighten.train.parallel.memory import held
from lighten.train.parallel.strategy import Strategy
from lighten.workshop.finished import refuse_other


@dataclass(frozen=True)
class Order:
    """What the user asked for; see `train`."""

    recipe: Recipe
    out: Path
    base: Path | None
    progress: Progress
    restart: bool
    command: str
    started: float | None


def train(
    recipe: Recipe,
    out: Path,
    *,
    base: Path | None = None,
    progress: Progress | None = None,
    restart: bool = False,
    command: str = "",
    started: float | None = None,
) -> dict[str, Any]:
    """Train a model and leave an ordinary transformers checkpoint in ``out/model``.

    Started in several processes (RANK and WORLD_SIZE set) they train together.

    Args:
        recipe: what to train.
        out: the run folder; a training that was interrupted there goes on.
        base: folder that relative sources are relative to.
        progress: where to report.
        restart: forget what an earlier training left in the folder.
        command: the command line, for the record.
        started: when the user's clock began (`time.monotonic`); now when left out.

    Returns:
        The content of result.json, which was also written.

    Raises:
        InputError: bad recipe, data or model.
        BuildError: the training diverged.
    """
    keep_few()
    with joined() as group:
        told = Progress() if group.rank or progress is None else progress
        # The first process holds the folder for all that train together.
        with nullcontext() if group.rank else locked(out, "training"):
            return _train(Order(recipe, out, base, told, restart, command, started), group)


def _train(order: Order, group: Processes) -> dict[str, Any]:
    recipe, out, base, progress = order.recipe, order.out, order.base, order.progress
    work, begun = out / "work", time.monotonic()
    refuse_other(out, "training")
    scope, source = group.first(lambda: identify(recipe, base, progress))
    # Each training has a clock of its own: what another recipe used up in this folder is not charged to this one.
    clock = Clock(recipe.clock_seconds, work / f"clock-{scope}.json" if group.rank == 0 else None)
    clock.started = begun if order.started is None else order.started
    if group.rank == 0 and (order.restart or _model_is_gone(out, scope)):
        forget(work)
        forget_activations(work)
        (out / "result.json").unlink(missing_ok=True)
        clock.before = 0.0
    if group.rank == 0:
        forget_leftovers(work)
    group.barrier()
    known = finished(out, scope)
    if known is not None:
        if group.rank == 0:  # a kill after the result may have left them
            forget_checkpoints(work)
            forget_activations(work)
        progress.note("nothing to do: this training is finished; --restart trains again")
        return known
    for folder in sorted({work / "checkpoints", *work.glob("checkpoints-*")}):
        Checkpoints(folder, fingerprint=scope).elapsed()  # another recipe's is refused at once
    table = group.first(lambda: prepare(recipe, work, base, progress, scope))
    job = Job(recipe, source, table.path, work, Strategy(device=group.here.device), clock, progress, group=group)
    task = task_of(job)
    begun = time.monotonic()
    setup: Setup = task.setup()
    built = setup.build()
    base_mb = built.base_mb()
    precision = precision_of(job, setup, built, group)
    strategy = job.strategy = strategy_for(recipe.train.parallel, built.model, precision.name, group)
    if group.rank == 0:
        write_json(out / "environment.json", {"machine": describe(), "versions": versions()})
        _write_recipe(recipe, out)
    settings = probed(job, setup, built, settings_of(recipe, setup, clock, strategy.copies), precision)
    predicted = None
    if group.rank == 0:
        count = strategy.world_size
        predicted = prediction(job, setup, built, settings, precision, strategy.name, count, base_mb)
    speed = None if predicted is None else predicted["tokens_per_second"]
    sinks = sinks_of(recipe, out) if group.rank == 0 else []
    members = Members(job, setup, built, settings, count_members(job, setup, speed), scope, sinks)
    try:
        training, report = members.run()
    finally:
        for sink in sinks:
            sink.close()
    # Of the training: what follows holds a second model.
    fit_seconds = round(time.monotonic() - begun, 2)
    held_mb = round(held(training.model, training.optimizer).total / 1e6, 2)
    seen = {"peak_memory_mb": round(own_peak_mb(), 1), "held_mb": held_mb, "fit_seconds": fit_seconds}
    model = whole(training, setup, built)
    if group.rank:
        group.barrier()  # the first process measures and writes
        return read_json(out / "result.json")  # type: ignore[no-any-return]
    save_model(model, out, source, job.long, setup.deliver, _learned_limit(job, setup))
    quality = judged(setup, training, report, model)
    facts = {"scope": scope, "data": table.metrics, "reproduce": order.command}
    result = write_result(out, job, setup, report, settings, quality, predicted, seen, **facts)
    with suppress(OSError):
        clock.tick(force=True)
    forget_checkpoints(work)
    forget_activations(work)
    group.barrier()
    return result


def _learned_limit(job: Job, setup: Setup) -> int | None:
    """Return the tokens of a sequence that a later compression keeps to; None where it may read all the model can."""
    recipe = job.recipe
    asked = recipe.train.max_tokens is not None or (job.long is not None and job.long.strategy != "truncate")
    return setup.facts.get("max_tokens") if asked and recipe.task == "text-classification" else None


def task_of(job: Job) -> Any:
    """Return the task of a recipe, its data read and its model loaded."""
    if job.recipe.task == "text-classification":
        from lighten.tasks.classify import Classify

        return Classify(job)
    if job.recipe.task == "language-modeling":
        from lighten.tasks.language import LanguageModeling

        return LanguageModeling(job)
    if job.recipe.train.objective == "extractive":
        from lighten.tasks.extract import Extract

        return Extract(job)
    from lighten.tasks.summarize import Summarize

    return Summarize(job)


def sinks_of(recipe: Recipe, out: Path) -> list[Sink]:
    """Return where metrics go: metrics.jsonl, and the trackers asked for."""
    from lighten.train.trackers import tracker

    out.mkdir(parents=True, exist_ok=True)
    named = [tracker(kind, out, recipe.name or out.name) for kind in recipe.train.track]
    return [JsonLines(out / "metrics.jsonl"), *named]


def finished(out: Path, scope: str) -> dict[str, Any] | None:
    """Return the result of a finished training of the same recipe, if its model is there."""
    result = _result_of(out, scope)
    return result if (out / "model" / "config.json").is_file() else None


def _model_is_gone(out: Path, scope: str) -> bool:
    """Whether this very training came to its end here and its model was removed since: its clock begins anew."""
    return _result_of(out, scope) is not None and not (out / "model" / "config.json").is_file()


def _result_of(out: Path, scope: str) -> dict[str, Any] | None:
    try:
        result: dict[str, Any] = read_json(out / "result.json")
    except (OSError, ValueError):
        return None
    return result if result.get("scope") == scope else None


def _write_recipe(recipe: Recipe, out: Path) -> None:
    import yaml

    write_text(out / "recipe.yaml", yaml.safe_dump(recipe.resolved(), sort_keys=False))

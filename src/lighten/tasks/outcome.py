"""What a training leaves behind: the checkpoint in plain form, and result.json."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from lighten.errors import BuildError
from lighten.measure.machine import describe
from lighten.models.auto import save_auto
from lighten.models.long_texts import Long, write_note
from lighten.pipeline import Clock, write_json
from lighten.pipeline.artifact import versions
from lighten.pipeline.files import new_folder
from lighten.tasks.job import Built, Job, Quality, Setup
from lighten.train.loop import Training
from lighten.train.memory_error import out_of_memory
from lighten.train.settings import Report, Settings

NAMES = {"accuracy": "Accuracy", "perplexity": "Perplexity", "f1_samples": "F1 (mean over texts)", "rougeL": "ROUGE-L"}


def whole(training: Training, setup: Setup, built: Built) -> Any:
    """Return the trained model on the first process: shards put together, LoRA merged, embeddings complete."""
    strategy = training.strategy
    if strategy.name in ("none", "ddp"):
        built.undo.close()
        return built.model.to("cpu")
    state = strategy.full_state(training.model)
    if strategy.rank:
        return None
    fresh = setup.build()
    fresh.model.load_state_dict(state)
    fresh.undo.close()
    return fresh.model


def save_model(
    model: Any,
    out: Path,
    source: Path,
    long: Long | None = None,
    deliver: Callable[[Path], None] | None = None,
    limit: int | None = None,
) -> None:
    """Write ``out/model``, with a note of what becomes of long texts.

    Args:
        model: the finished one.
        out: the run folder.
        source: where the tokenizer comes from.
        long: what becomes of long texts; truncated when left out.
        deliver: adds to the checkpoint what serves it without torch.
        limit: tokens of a sequence as it was trained, for the note; None where nothing was asked for.

    Raises:
        BuildError: it cannot be written; the checkpoints are still there.
    """
    with saving("model"), new_folder(out / "model") as folder:
        save_auto(model, folder, source)
        write_note(folder, long or Long(), limit)
        if deliver is not None:
            deliver(folder)


def judged(setup: Setup, training: Training, report: Report, model: Any) -> dict[str, Any]:
    """Return the quality on validation and on the sealed test, each with its interval.

    Measured where the training was, which is what a clock has kept time free for; the model ends on the CPU.
    """
    # The last look at validation was at these very weights, unless others were put back.
    validation = (
        _measured(setup, training, model, "validation")
        if report.restored
        else setup.judge(None, "validation", training.precision)
    )
    test = _measured(setup, training, model, "test")
    model.to("cpu")
    found = {"metric": setup.metric, "validation": validation.to_dict(), "test": test.to_dict()}
    return found if setup.closing is None else setup.closing(model, found)


def _measured(setup: Setup, training: Training, model: Any, part: str) -> Quality:
    """Judge the model on the device of the training; on the CPU where it does not fit beside what was trained."""
    device = training.strategy.device
    try:
        return setup.judge(model.to(device), part, training.precision)
    except (RuntimeError, MemoryError) as error:
        if device.type == "cpu" or not out_of_memory(error):
            raise
    return setup.judge(model.to("cpu"), part, replace(training.precision, name="fp32", device="cpu"))


def write_result(
    out: Path,
    job: Job,
    setup: Setup,
    report: Report,
    settings: Settings,
    quality: dict[str, Any],
    predicted: dict[str, Any] | None,
    seen: dict[str, Any],
    **facts: Any,
) -> dict[str, Any]:
    """Write ``out/result.json`` and return its content.

    Raises:
        BuildError: it cannot be written; the checkpoints are still there.
    """
    recipe, clock = job.recipe, job.clock
    result = {
        "schema": 1,
        "kind": "training",
        "name": recipe.name,
        "task": recipe.task,
        "sentence": sentence(quality, report, clock),
        "quality": quality,
        "training": finite(asdict(report)),
        "predicted": predicted,
        "seen": {**seen, "seconds": round(clock.spent, 2)},
        "clock": None
        if clock.budget is None
        else {"limit_seconds": clock.budget, "used_seconds": round(clock.spent, 2)},
        "model": "model",
        "data": {**facts.pop("data"), **setup.facts, **job.facts},
        "settings": finite({**asdict(settings), "precision": report.precision}),
        "machine": describe(),
        "versions": versions(),
        "seed": recipe.seed,
        "recipe": recipe.resolved(),
        **facts,
    }
    with saving("result"):
        write_json(out / "result.json", result)
    return result


def sentence(quality: dict[str, Any], report: Report, clock: Clock) -> str:
    """Return the outcome in one line."""
    test = quality["test"]
    low, high = test["ci95"]
    said = f"{NAMES.get(quality['metric'], quality['metric'])} {test['value']:.2f} ({low:.2f} to {high:.2f})"
    said += f" on the sealed test after {report.epochs:.1f} epochs, {clock.spent:.0f} s"
    return said + (f" of {clock.budget:.0f}" if clock.budget is not None else "")


def finite(value: Any) -> Any:
    """Return the value with infinities and NaN as None: JSON has no word for them."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def saving(what: str) -> Iterator[None]:
    """Say in one line that something cannot be saved (disk full): the checkpoints are still there."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise BuildError(
            f"the {what} cannot be saved: {error}; with room, the same command goes on from the last checkpoint"
        ) from error

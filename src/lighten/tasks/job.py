"""What every task is given, and what it gives the loop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.measure.statistics import Interval
from lighten.models.long_texts import Long
from lighten.models.tokens import Ids, encode, read_tokenizer
from lighten.pipeline import Clock
from lighten.pipeline.examples import Examples, read_examples
from lighten.progress import Progress
from lighten.recipe import Recipe
from lighten.tasks.parallel import Processes
from lighten.train.estimate import resident_mb
from lighten.train.objectives import Objective
from lighten.train.parallel.strategy import Strategy
from lighten.train.precision import Precision
from lighten.train.sampler import Sampler
from lighten.train.settings import Look

PARTS = ("train", "validation", "test")


@dataclass
class Job:
    """One `lighten train`: recipe, folders, data, processes, clock.

    Attributes:
        source: the model's folder.
        table: folder with the splits.
        work: folder for what can be made again.
        facts: what the report says about the data.
        long: what becomes of long texts, once `lighten.tasks.encode.long_of` was asked.
        group: the processes that train together, before it is known how.
        only_plan: nothing will be trained: what takes long is not made, its time is foreseen.
    """

    recipe: Recipe
    source: Path
    table: Path
    work: Path
    strategy: Strategy
    clock: Clock
    progress: Progress
    facts: dict[str, Any] = field(default_factory=dict)
    long: Long | None = None
    group: Processes = field(default_factory=Processes)
    only_plan: bool = False

    def examples(self, part: str) -> Examples:
        """Read a part of the data."""
        return read_examples(self.table / f"{part}.jsonl")

    def encode(self, texts: list[str], limit: int) -> list[Ids]:
        """Return the token ids of texts, cut at `limit`."""
        return encode(read_tokenizer(self.source), texts, limit)

    def tick(self) -> None:
        """Note the time spent, on the process that keeps the clock; a full disk stops no training."""
        if self.strategy.rank == 0:
            with suppress(OSError):
                self.clock.tick()


@dataclass
class Built:
    """A model ready to train, and what must be undone afterwards (LoRA merged, the full embeddings back)."""

    model: Any
    undo: ExitStack

    def base_mb(self) -> float:
        """Return what this process holds besides the model: interpreter, libraries, data."""
        there = sum(p.numel() * p.element_size() for p in self.model.parameters() if p.device.type == "cpu")
        return max(0.0, resident_mb() - there / 1e6)


@dataclass(frozen=True)
class Quality:
    """A metric on a part: `value` with its 95% interval over `n` examples; and which way is better."""

    metric: str
    value: Interval
    n: int
    higher_is_better: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return what result.json holds."""
        return {
            "metric": self.metric,
            "value": round(self.value.value, 4),
            "ci95": [round(self.value.low, 4), round(self.value.high, 4)],
            "n": self.n,
        }


@dataclass
class Setup:
    """What a task gives the loop.

    Attributes:
        build: makes the model; called again where the processes' shards are put together after training.
        sampler: the training examples.
        objective: the loss.
        validate: looks at the validation part with the model in training.
        judge: measures the finished model on ``"validation"`` or ``"test"``, on one process; given ``None`` for the
            model, it takes what the last look at validation found.
        metric: name of the score.
        rate: peak learning rate chosen for this task and model.
        restore_margin: see `Settings`.
        test_share: tokens of the test part over those of the validation part: how long the last look takes.
        predicted_share: tokens whose vocabulary scores are computed, over all tokens (language models).
        facts: about the data, for the report.
        closing: measures more of the finished model, on one process: takes the model and what `judge` found as
            result.json holds it, and returns that with what it adds; None where there is nothing more.
        closing_seconds: what `closing` will take, kept free at the end of a clock; `closing_time` finds it.
        closing_time: times `closing` on the model before training, where there is a clock.
        ahead_seconds: what a training does before its first step and a plan leaves out.
        deliver: adds to the folder of the finished checkpoint what serves it without torch; None where nothing does.
    """

    build: Callable[[], Built]
    sampler: Sampler
    objective: Objective
    validate: Callable[[Any, Precision], Look]
    judge: Callable[[Any, str, Precision], Quality]
    metric: str
    rate: float
    restore_margin: float
    test_share: float
    predicted_share: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    closing: Callable[[Any, dict[str, Any]], dict[str, Any]] | None = None
    closing_seconds: float = 0.0
    closing_time: Callable[[Any], float] | None = None
    ahead_seconds: float = 0.0
    deliver: Callable[[Path], None] | None = None


def group_numbers(examples: Examples) -> npt.NDArray[np.int64] | None:
    """Return a number per example for its group, None where there are no groups."""
    if examples.groups is None:
        return None
    return np.unique(np.array(examples.groups), return_inverse=True)[1].astype(np.int64)

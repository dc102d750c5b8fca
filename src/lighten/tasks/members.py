"""Trains: once, or several times under one clock with the average of the weights at the end."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lighten.errors import InputError
from lighten.tasks.job import Built, Job, Setup
from lighten.tasks.settings import CLOSING_SECONDS, kept_choice
from lighten.tasks.soup import Member, Shifted, Soup, State, copied, joined, members_in, seed_of, stir
from lighten.train.bookkeeping import tell
from lighten.train.checkpoint import Checkpoints
from lighten.train.loop import Training
from lighten.train.metrics import Sink
from lighten.train.precision import Precision
from lighten.train.sampler import Sampler
from lighten.train.settings import Look, Report, Settings


def count_members(job: Job, setup: Setup, tokens_per_second: float | None) -> int:
    """Return how many trainings to average: as asked for; ``auto`` goes by the clock and the measured speed.

    An interrupted training goes on with the number it began with.

    Raises:
        InputError: several are asked for where weights cannot be averaged.
    """
    train = job.recipe.train
    several = job.strategy.world_size > 1
    if isinstance(train.soup, int):
        if train.soup > 1 and several:
            raise InputError("several trainings are averaged in one process only; leave it out", "train.soup")
        return train.soup
    if several or job.recipe.train_epochs is not None or job.recipe.task != "text-classification":
        return 1
    if train.from_scratch or train.lora is not None or train.norm != "layer" or not tokens_per_second:
        return 1

    def find() -> dict[str, Any]:
        tokens = float(setup.sampler.dataset.lengths.sum())
        return {"members": members_in(job.clock.left, tokens / tokens_per_second)}

    return int(kept_choice(job, "soup", find)["members"])


class Members:
    """Trains the members one after the other.

    Args:
        job: of the user.
        setup: of the task.
        built: the model, as every member starts.
        settings: of a single training.
        count: members to train.
        fingerprint: what the training depends on.
        sinks: where metrics go.
    """

    def __init__(
        self, job: Job, setup: Setup, built: Built, settings: Settings, count: int, fingerprint: str, sinks: list[Sink]
    ) -> None:
        self.job, self.setup, self.built, self.settings, self.count = job, setup, built, settings, count
        self.fingerprint, self.sinks = fingerprint, sinks
        self.soup = Soup(job.work / "soup", fingerprint, count)
        self._look = Look(0.0)

    def run(self) -> tuple[Training, Report]:
        """Return the last training, the averaged weights in its model, and the report of all.

        Raises:
            BuildError: a training diverged.
        """
        if self.count == 1:
            alone = self._training(0, [])
            return alone, alone.run()
        start = copied(self.built.model.state_dict())
        members = self.soup.done()
        # Killed after the last of them: only its model is still needed.
        again = len(members) == self.count
        training = self._training(self.count - 1, members[:-1]) if again else None
        for number in range(len(members), self.count):
            self.job.progress.note(f"training {number + 1} of {self.count}; their weights will be averaged")
            self.built.model.load_state_dict(start)
            # The optimiser of the one before goes first; what a training gives the loop refers back to it.
            training = None
            gc.collect()
            training = self._training(number, members)
            report = training.run()
            members.append(self.soup.keep(number, training, report, self._look))
            shutil.rmtree(folder_of(self.job.work, number), ignore_errors=True)
        assert training is not None
        return training, self._averaged(training, members)

    def _averaged(self, training: Training, members: Sequence[Member]) -> Report:
        """Leave the average in the training's model."""
        took: list[float] = []

        def judge(weights: State) -> Look:
            begun = time.monotonic()
            training.model.load_state_dict(weights)
            training.model.eval()
            look = self._validate(training, training.precision)
            took.append(time.monotonic() - begun)
            return look

        def room() -> bool:
            # Another look, one more at what was kept before it, and the test part.
            looks = 2.0 + self.setup.test_share
            return self.job.clock.left > looks * max(took) + CLOSING_SECONDS + self.setup.closing_seconds

        weights, look, averaged = stir(members, judge, room)
        training.model.load_state_dict(weights)
        return self._told(joined(members, look, averaged, sum(took)), look)

    def _training(self, number: int, before: Sequence[Member]) -> Training:
        sampler, strategy = self.setup.sampler, self.job.strategy
        seed = seed_of(self.settings.seed, number)
        steps = sum(member.report.steps for member in before)
        seconds, epochs = (sum(getattr(m.report, what) for m in before) for what in ("seconds", "epochs"))
        training = Training(
            self.built.model,
            sampler if number == 0 else Sampler(sampler.dataset, sampler.budget, seed, sampler.order),
            self.setup.objective,
            lambda precision: self._validate(training, precision),
            self._settings(number, seed),
            strategy=strategy,
            checkpoints=folder_of(self.job.work, number),
            fingerprint=self.fingerprint,
            sinks=[Shifted(sink, steps, seconds, epochs) for sink in self.sinks] if before else self.sinks,
            progress=self.job.progress,
            name="training" if self.count == 1 else f"training {number + 1} of {self.count}",
            tick=self.job.tick,
        )
        return training

    def _settings(self, number: int, seed: int) -> Settings:
        """Return a member's settings: its share of the time left, the last one's ends early for what follows."""
        settings, clock = replace(self.settings, seed=seed), self.job.clock
        if clock.budget is None:
            return settings
        trained = Checkpoints(folder_of(self.job.work, number), fingerprint=self.fingerprint).elapsed()
        share = (trained + max(1.0, clock.left - CLOSING_SECONDS - self.setup.closing_seconds)) / (self.count - number)
        last = number == self.count - 1
        # Each looks at its own weights; at the end come those at the average, and at the test part.
        looks = settings.last_looks + (1.0 if self.count > 1 else 0.0) if last else 1.0
        return replace(settings, seconds=share, last_looks=looks)

    def _validate(self, training: Training, precision: Precision) -> Look:
        self._look = self.setup.validate(training.model, precision)
        return self._look

    def _told(self, report: Report, look: Look) -> Report:
        """Tell the sinks of the look at the average; returns the report with what could not be done."""
        record = {
            "step": report.steps,
            "seconds": report.seconds,
            "epoch": report.epochs,
            "loss": None,
            "lr": 0.0,
            "validation": round(look.score, 3),
            "validation_loss": look.loss,
        }
        failed = [text for text in tell(self.sinks, lambda sink: sink.write(record)) if text not in report.notes]
        for text in failed:
            self.job.progress.note(text)
        return replace(report, notes=[*report.notes, *failed])


def folder_of(work: Path, number: int) -> Path:
    """Return where the checkpoints of a member are."""
    return work / "checkpoints" if number == 0 else work / f"checkpoints-{number}"

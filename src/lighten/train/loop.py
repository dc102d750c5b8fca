"""The training loop: one for every objective and any number of processes, under a clock or for a number of epochs.

Reproducible: batches follow from the seed and the epoch, dropout from the seed and the step, so that a
training that was killed and resumed ends with the same weights as an undisturbed one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lighten.errors import BuildError
from lighten.models.auto import hidden_width
from lighten.progress import Progress, Stage
from lighten.train import looks
from lighten.train import precision as precisions
from lighten.train.bookkeeping import Bookkeeping
from lighten.train.checkpoint import Checkpoints
from lighten.train.clock import TrainingClock
from lighten.train.metrics import Sink
from lighten.train.objectives import Objective
from lighten.train.optimizer import averaged, make_optimizer
from lighten.train.parallel.strategy import Strategy
from lighten.train.recovery import Divergence
from lighten.train.sampler import Sampler
from lighten.train.settings import Look, Report, Settings
from lighten.train.state import State
from lighten.train.step import Step
from lighten.train.update import LARGEST_SCALE, Overflow

__all__ = ["LARGEST_SCALE", "Look", "Overflow", "Report", "Settings", "Training"]


class Training:
    """One training of one model; `run` does it.

    Args:
        model: trained in place.
        sampler: the examples.
        objective: the loss.
        validate: returns the score on the validation split (higher is better), called in evaluation mode.
        settings: how to train.
        strategy: the processes that train together.
        checkpoints: folder for checkpoints, or None.
        fingerprint: what the training depends on: a checkpoint of another one is refused.
        sinks: where metrics go, besides the report.
        progress: where to report.
        name: of the stage.
        tick: called at every step (the build's clock).
    """

    def __init__(
        self,
        model: Any,
        sampler: Sampler,
        objective: Objective,
        validate: Callable[[precisions.Precision], float | Look],
        settings: Settings,
        *,
        strategy: Strategy | None = None,
        checkpoints: Path | None = None,
        fingerprint: str = "",
        sinks: Sequence[Sink] = (),
        progress: Progress | None = None,
        name: str = "training",
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self.sampler, self.objective, self.validate = sampler, objective, validate
        self.progress, self.name, self.tick = progress or Progress(), name, tick
        self.strategy = strategy or Strategy()
        if settings.seconds is not None:  # each process's own clock says something else
            settings = replace(settings, seconds=self.strategy.agree(settings.seconds))
        self.settings = settings
        self.model = self.strategy.prepare(model)
        found = precisions.choose(settings.precision, hidden_width(model), sampler.budget, self.strategy.device)
        self.precision = precisions.agreed(found, self.strategy.agree)
        self.optimizer = make_optimizer(self.model, settings, self.strategy)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.parameters = [own for own in map(self.strategy.own, trained) if own is not None]
        self.checkpoints = Checkpoints(checkpoints, settings.checkpoint_seconds, fingerprint, self.strategy)
        self.state = State(micro_tokens=settings.micro_tokens)
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.per_epoch = len(sampler.batches(0))
        self.total_steps = None if settings.epochs is None else sampler.steps(settings.epochs)
        self.divergence = Divergence()
        self.restored = False
        self._due = 0.0
        self.clock = TrainingClock(settings, self.total_steps, self.strategy)
        self.books = Bookkeeping(name, sinks, self.progress, self.clock, self.per_epoch, self.strategy.rank == 0)
        self.sinks = self.books.sinks
        self.step = Step(
            self.model, sampler, objective, self.optimizer, self.parameters, settings, self.strategy, self.books
        )

    def run(self) -> Report:
        """Train, restore an earlier state if it was clearly better, report.

        Raises:
            BuildError: the loss is no longer a finite number, or has diverged, and going back did not help.
        """
        self._resume()
        self.clock.start(self.state.elapsed)
        if self.settings.recoveries and self.checkpoints.folder is not None and not self.state.step:
            self._save()  # something to go back to
        with self.progress.stage(self.name, total=1.0) as stage, self.step.prefetch:
            stopped = self._steps(stage)
            self._validate(stage)
        averaged(self.optimizer, True)
        last = self.state.history[-1]["validation"]
        self.restored = self.best_weights is not None and self.state.best - last > self.settings.restore_margin
        if self.restored and self.best_weights is not None:
            self.strategy.barrier()  # where processes have their weights in common, no other may still be reading them
            self.model.load_state_dict(self.best_weights)
        return self._report(stopped)

    def _resume(self) -> None:
        if self._go_back() and self.state.precision not in ("", self.precision.name):
            why, device = "as before the interruption", self.strategy.device.type
            self.precision = precisions.Precision(self.state.precision, why, device)
        self.state.precision = self.precision.name
        self.divergence = Divergence(self.state.watch)
        self.books.resumed(self.state)

    def _go_back(self) -> bool:
        """Put everything back as the last checkpoint has it; False, and nothing changed, where there is none."""
        kept = self.checkpoints.load(self.model, self.optimizer)
        if kept is None:
            return False
        self.state, self.best_weights, carried = kept
        if carried:
            self.objective.load_state_dict(carried)  # type: ignore[attr-defined]
        return True

    def _steps(self, stage: Stage) -> str:
        every = max(1, int(self.per_epoch / self.settings.validations_per_epoch))
        share = self._share()
        while share < 1.0:
            if looks.cooled_down(self.state):
                return "early"
            loss = self._step_or_recover(share)
            state = self.state  # a recovery replaces it
            if state.step % 10 == 0 or state.step == 1:
                self.books.record(state, loss, self.step.tokens, stage)
            share = self._share()
            if looks.look_now(self.settings, state, every, share):
                self._validate(stage)
                share = self._share()  # a look may have taken what was left
                if looks.stop_early(self.settings, state, share):
                    return "early"
            if self._due:
                self._save()
            self.tick()
        return "steps" if self.total_steps is not None and self.state.step >= self.total_steps else "clock"

    def _share(self) -> float:
        """Return how much of the budget is used, and find out whether a checkpoint is due."""
        # No state of a training that may be running away: it is what a recovery would go back to.
        wanted = self.checkpoints.due() and not self.divergence.rising
        share, self._due = self.clock.share(self.state, float(wanted))
        return share

    def _step_or_recover(self, share: float) -> float:
        """Do a step; where the loss is no number, or has run away, go back to the last good state at half the rate."""
        try:
            loss = self.step(self.state, self.precision, share)
            if not self.divergence.add(loss):
                return loss
            what = f"the loss ran away to {loss:.3g}"
        except Overflow as error:
            what = str(error)
        step, settings = self.state.step, self.settings
        self.optimizer.zero_grad(set_to_none=True)
        done = self.state.recoveries + 1
        if done <= settings.recoveries and step == self.checkpoints.step:  # it would fail again
            self.checkpoints.set_aside()
        notes, scale = self.state.notes, self.state.rate_scale / 2
        if done > settings.recoveries or not self._go_back():
            raise BuildError(f"{self.name}: {what} at step {step}; lower the learning rate")
        self.state.recoveries, self.state.rate_scale, self.state.notes = done, scale, notes
        self.divergence = Divergence(self.state.watch)
        self.books.resumed(self.state)
        back = f"back to step {self.state.step} at {scale:g} times the learning rate"
        self.books.note(self.state, f"{what} at step {step}: {back}")
        return self._step_or_recover(self._share())

    def _save(self) -> None:
        self.state.elapsed, self.state.watch = self.clock.elapsed, self.divergence.seen
        carried = self.objective.state_dict() if hasattr(self.objective, "state_dict") else None
        started = time.monotonic()
        try:
            self.checkpoints.save(self.state, self.model, self.optimizer, self.best_weights, carried)
        except OSError as error:  # the last one is intact: better to go on than to lose the training
            self.books.note(self.state, f"no checkpoint at step {self.state.step}: {error}")
            self.checkpoints.saved_at = time.monotonic()
        self.state.checkpoint_seconds += time.monotonic() - started

    def _validate(self, stage: Stage) -> None:
        state = self.state
        if looks.seen_now(state):
            return
        started = time.monotonic()
        averaged(self.optimizer, True)
        self.model.eval()
        found = self.validate(self.precision)
        look = found if isinstance(found, Look) else Look(found)
        state.validation_seconds = self.strategy.agree(time.monotonic() - started)
        state.seconds_of_looks += state.validation_seconds
        if looks.is_best(state, look):
            self.best_weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        looks.follow_plateau(self.settings, state, look)
        averaged(self.optimizer, False)
        self.books.record_look(state, look, stage)

    def _report(self, stopped: str) -> Report:
        state = self.state
        return Report(
            seconds=round(self.clock.elapsed, 2),
            steps=state.step,
            epochs=round(state.epoch + state.position / len(self.sampler.batches(state.epoch)), 3),
            tokens_per_second=round(self.step.tokens / max(1e-9, self.clock.spent), 1),
            padded_share=round(self.sampler.padded_share, 4),
            precision=self.precision.name,
            precision_reason=self.precision.reason,
            best=state.best,
            best_step=state.best_step,
            stopped=stopped,
            history=state.history,
            parallel=self.strategy.name,
            parallel_reason=self.strategy.reason,
            processes=self.strategy.world_size,
            micro_tokens=state.micro_tokens,
            checkpoint_seconds=round(state.checkpoint_seconds, 2),
            seconds_of_looks=round(state.seconds_of_looks, 2),
            restored=self.restored,
            notes=state.notes,
        )

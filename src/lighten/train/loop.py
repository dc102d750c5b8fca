"""The training loop: one for every objective and any number of processes, under a clock or for a number of epochs.

Reproducible: batches follow from the seed and the epoch, dropout from the seed and the step, so that a
training that was killed and resumed ends with the same weights as an undisturbed one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lighten.errors import BuildError
from lighten.models.auto import hidden_width
from lighten.progress import Progress, Stage
from lighten.train import precision as precisions
from lighten.train.checkpoint import Checkpoints
from lighten.train.memory_error import out_of_memory
from lighten.train.metrics import Sink
from lighten.train.microbatch import MicroBatches
from lighten.train.objectives import Objective
from lighten.train.optimizer import make_optimizer
from lighten.train.orders import Planned
from lighten.train.parallel.strategy import Strategy
from lighten.train.prefetch import Prefetch
from lighten.train.recovery import Divergence
from lighten.train.sampler import Sampler
from lighten.train.schedule import budget_share, factor
from lighten.train.settings import Look, Report, Settings
from lighten.train.shards import local
from lighten.train.state import State

__all__ = ["Look", "Report", "Settings", "Training"]

MIN_SECONDS = 1.0
"""A clock is never shorter than this."""
LARGEST_SCALE = 2.0**24
"""Of the loss in fp16."""


class Overflow(Exception):
    """A loss or gradient that is no finite number."""


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
        self.progress, self.name, self.tick, self.sinks = progress or Progress(), name, tick, list(sinks)
        self.strategy = strategy or Strategy()
        if settings.seconds is not None:  # each process's own clock says something else
            settings = replace(settings, seconds=self.strategy.agree(settings.seconds))
        self.settings = settings
        self.model = self.strategy.prepare(model)
        found = precisions.choose(settings.precision, hidden_width(model), sampler.budget, self.strategy.device)
        self.precision = precisions.agreed(found, self.strategy.agree)
        self.optimizer = make_optimizer(self.model, settings)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.checkpoints = Checkpoints(checkpoints, settings.checkpoint_seconds, fingerprint, self.strategy)
        self.state = State(micro_tokens=settings.micro_tokens)
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.per_epoch = len(sampler.batches(0))
        self.total_steps = None if settings.epochs is None else sampler.steps(settings.epochs)
        self.divisor = sampler.units_per_batch
        self.divergence = Divergence()
        self.restored = False
        self._due = 0.0
        batches = MicroBatches(sampler, self.strategy)
        self.prefetch = Prefetch(batches.make, batches.following)
        self.tokens = 0

    def run(self) -> Report:
        """Train, restore an earlier state if it was clearly better, report.

        Raises:
            BuildError: the loss is no longer a finite number, or has diverged, and going back did not help.
        """
        self._resume()
        self._offset = self.state.elapsed
        self._started = time.monotonic()
        if self.settings.recoveries and self.checkpoints.folder is not None and not self.state.step:
            self._save()  # something to go back to
        with self.progress.stage(self.name, total=1.0) as stage, self.prefetch:
            stopped = self._steps(stage)
            self._validate(stage)
        self._averaged(True)
        last = self.state.history[-1]["validation"]
        self.restored = self.best_weights is not None and self.state.best - last > self.settings.restore_margin
        if self.restored and self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
        return self._report(stopped)

    def _resume(self) -> None:
        restored = self.checkpoints.load(self.model, self.optimizer)
        if restored is not None:
            self.state, self.best_weights, carried = restored
            if carried:
                self.objective.load_state_dict(carried)  # type: ignore[attr-defined]
            if self.state.precision not in ("", self.precision.name):
                self.precision = precisions.Precision(
                    self.state.precision, "as before the interruption", self.strategy.device.type
                )
        self.state.precision = self.precision.name
        self.divergence = Divergence(self.state.watch)
        self._tell(lambda sink: sink.resume(self.state.step))

    def _report(self, stopped: str) -> Report:
        state = self.state
        spent = max(1e-9, time.monotonic() - self._started)
        return Report(
            seconds=round(self._elapsed(), 2),
            steps=state.step,
            epochs=round(state.epoch + state.position / len(self.sampler.batches(state.epoch)), 3),
            tokens_per_second=round(self.tokens / spent, 1),
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
            restored=self.restored,
            notes=state.notes,
        )

    def _elapsed(self) -> float:
        return self._offset + time.monotonic() - self._started

    def _share(self) -> float:
        """Return how much of the budget is used: the same number on every process."""
        limit = self.settings.seconds
        if limit is None:
            self._due = self.strategy.agree(self._wants_to_save())
            return budget_share(self.state.step, self.total_steps, 0.0, None)
        # Room for the last look, and for what the caller still wants to look at.
        limit = max(MIN_SECONDS, limit - self.settings.last_looks * self.state.validation_seconds)
        elapsed, self._due = self.strategy.agree_all([self._elapsed(), self._wants_to_save()])
        return budget_share(self.state.step, self.total_steps, elapsed, limit)

    def _wants_to_save(self) -> float:
        # No state of a training that may be running away: it is what a recovery would go back to.
        return float(self.checkpoints.due() and not self.divergence.rising)

    def _steps(self, stage: Stage) -> str:
        every = max(1, int(self.per_epoch / self.settings.validations_per_epoch))
        share = self._share()
        while share < 1.0:
            state = self.state
            if state.cooling is not None and state.step >= state.cooling[1]:
                return "early"
            loss = self._step_or_recover(share)
            state = self.state  # a recovery replaces it
            if state.step % 10 == 0 or state.step == 1:
                self._record(loss, stage)
            share = self._share()
            if self._look(every, share):
                self._validate(stage)
                if self._stop(share):
                    return "early"
            if self._due:
                self._save()
            self.tick()
        return "steps" if self.total_steps is not None and self.state.step >= self.total_steps else "clock"

    def _stop(self, share: float) -> bool:
        """Whether to stop early now; with a cooldown, begin it instead."""
        settings, state = self.settings, self.state
        if settings.patience is None or state.stale < settings.patience or share < 0.5 or state.cooling:
            return False
        steps = int(settings.cooldown * state.step)
        if steps:
            state.cooling = [state.step, state.step + steps]
        return not steps

    def _look(self, every: int, share: float) -> bool:
        """Whether to validate now: at equal distances, and under a clock early enough to know how long it takes."""
        if share >= 0.95 or self.state.cooling:  # the last look comes anyway
            return False
        unknown = self.settings.seconds is not None and not self.state.validation_seconds
        return self.state.step % every == 0 or (unknown and share >= 0.4)

    def _step_or_recover(self, share: float) -> float:
        """Do a step; where the loss is no number, or has run away, go back to the last good state at half the rate."""
        try:
            loss = self._step(share)
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
        restored = None if done > settings.recoveries else self.checkpoints.load(self.model, self.optimizer)
        if restored is None:
            raise BuildError(f"{self.name}: {what} at step {step}; lower the learning rate")
        notes, scale = self.state.notes, self.state.rate_scale / 2
        self.state, self.best_weights, carried = restored
        if carried:
            self.objective.load_state_dict(carried)  # type: ignore[attr-defined]
        self.state.recoveries, self.state.rate_scale, self.state.notes = done, scale, notes
        self.divergence = Divergence(self.state.watch)
        self._tell(lambda sink: sink.resume(self.state.step))
        self._note(f"{what} at step {step}: back to step {self.state.step} at {scale:g} times the learning rate")
        return self._step_or_recover(self._share())

    def _step(self, share: float) -> float:
        settings, state = self.settings, self.state
        while state.position >= len(self.sampler.batches(state.epoch)):
            state.epoch, state.position = state.epoch + 1, 0
        planned = self.sampler.batches(state.epoch)[state.position]
        torch.manual_seed((settings.seed * 1_000_003 + state.step + self.strategy.copy * 7919) % 2**63)
        self.model.train()
        state.rate = settings.learning_rate * state.rate_scale * self._factor(share)
        for group in self.optimizer.param_groups:
            group["lr"] = state.rate
        total, tokens = self._gradients(planned)
        units = self.sampler.dataset.units(planned.index, planned.limit)
        if not math.isfinite(total):
            raise Overflow(f"the loss became {total}")
        self._update()
        state.step += 1
        state.position += 1
        state.tokens += tokens
        self.tokens += tokens
        return total / max(units, 1e-9)

    def _factor(self, share: float) -> float:
        state, settings = self.state, self.settings
        value = factor(settings.schedule, share, settings.warmup, settings.decay)
        if state.cooling is not None:
            first, last = state.cooling
            value *= 1 - (state.step - first) / max(1, last - first)
        return value

    def _gradients(self, planned: Planned) -> tuple[float, int]:
        """Compute the step's gradients; where memory runs out, in micro-batches of half the size from now on.

        Returns:
            The sum of the loss over all processes, and the step's real tokens.
        """
        scale = self.state.loss_scale if self.precision.name == "fp16" else 1.0
        while True:
            try:
                batches = self.prefetch.get((self.state.epoch, self.state.position, self.state.micro_tokens))
                total = self.strategy.gradients(self.objective, batches, self.divisor, self.precision, scale)
                tokens = int(self.sampler.lengths(planned).sum())
                return self.strategy.total([total])[0], tokens
            except Exception as error:
                # Other processes would wait for this one: there, the launcher starts all of them again.
                if not out_of_memory(error) or self.strategy.world_size > 1:
                    raise
                self._halve(planned, error)
                self.optimizer.zero_grad(set_to_none=True)

    def _halve(self, planned: Planned, error: Exception) -> None:
        lengths = self.sampler.lengths(planned)
        longest, used = int(lengths.max()), self.state.micro_tokens or self.sampler.budget
        if used <= longest:  # a single text is a forward pass of its own already
            raise BuildError(
                f"{self.name}: a single text of {longest} tokens does not fit in memory; lower max_tokens or "
                "switch on gradient_checkpointing"
            ) from error
        self.state.micro_tokens = max(longest, used // 2)
        self._note(f"out of memory: micro-batches of {self.state.micro_tokens} tokens from step {self.state.step} on")

    def _update(self) -> None:
        """Clip and apply the gradients; in fp16 skip the step and lower the scale where they overflowed."""
        state, scaled = self.state, self.precision.name == "fp16"
        scale = state.loss_scale if scaled else 1.0
        norm = self.strategy.norm(self.parameters) / scale
        if not math.isfinite(norm):
            if not scaled or state.loss_scale < 1:
                raise Overflow(f"the gradients' norm became {norm}")
            state.loss_scale, state.good_steps = state.loss_scale / 2, 0
        else:
            by = min(1.0, self.settings.clip / (norm + 1e-6)) / scale
            if by != 1.0:
                torch._foreach_mul_([local(p.grad) for p in self.parameters if p.grad is not None], by)
            self.optimizer.step()
            state.good_steps += 1
            if scaled and state.good_steps % 1000 == 0:
                state.loss_scale = min(LARGEST_SCALE, 2 * state.loss_scale)
        self.optimizer.zero_grad(set_to_none=True)

    def _save(self) -> None:
        self.state.elapsed, self.state.watch = self._elapsed(), self.divergence.seen
        carried = self.objective.state_dict() if hasattr(self.objective, "state_dict") else None
        started = time.monotonic()
        try:
            self.checkpoints.save(self.state, self.model, self.optimizer, self.best_weights, carried)
        except OSError as error:  # the last one is intact: better to go on than to lose the training
            self._note(f"no checkpoint at step {self.state.step}: {error}")
            self.checkpoints.saved_at = time.monotonic()
        self.state.checkpoint_seconds += time.monotonic() - started

    def _note(self, text: str) -> None:
        self.state.notes.append(text)
        if self.strategy.rank == 0:
            self.progress.note(f"{self.name}: {text}")

    def _record(self, loss: float, stage: Stage) -> None:
        state = self.state
        speed = self.tokens / max(1e-9, time.monotonic() - self._started)
        self._keep({"loss": round(loss, 5), "lr": state.rate, "validation": None}, {"tokens_per_second": speed})
        facts: dict[str, Any] = {
            "epoch": f"{state.step / self.per_epoch:.1f}",
            "loss": f"{loss:.3f}",
            "tok/s": f"{speed:,.0f}",
        }
        if math.isfinite(state.best):
            facts["best"] = f"{state.best:.1f}"
        stage.update(self._share_here(), **facts)

    def _share_here(self) -> float:
        """Return the share of the budget for the eye: without asking the other processes."""
        limit = self.settings.seconds
        elapsed = 0.0 if limit is None else self._elapsed()
        return budget_share(self.state.step, self.total_steps, elapsed, limit)

    def _keep(self, facts: dict[str, Any], more: dict[str, Any]) -> None:
        entry = {"step": self.state.step, "seconds": round(self._elapsed(), 2), **facts}
        self.state.history.append(entry)
        if self.strategy.rank == 0:
            record = {**entry, "epoch": round(self.state.step / self.per_epoch, 4), **more}
            self._tell(lambda sink: sink.write(record))

    def _tell(self, what: Callable[[Sink], None]) -> None:
        """Do something with every sink; metrics that cannot be written (disk full) stop no training."""
        for sink in self.sinks:
            try:
                what(sink)
            except OSError as error:
                text = f"metrics cannot be written: {error}"
                if text not in self.state.notes:
                    self._note(text)

    def _averaged(self, wanted: bool) -> None:
        """Switch a schedule-free optimiser between the weights it averages and those it trains."""
        switch = getattr(self.optimizer, "eval" if wanted else "train", None)
        if switch is not None:
            switch()

    def _validate(self, stage: Stage) -> None:
        state = self.state
        if state.history and state.history[-1]["validation"] is not None and state.history[-1]["step"] == state.step:
            return
        started = time.monotonic()
        self._averaged(True)
        self.model.eval()
        found = self.validate(self.precision)
        look = found if isinstance(found, Look) else Look(found)
        state.validation_seconds = self.strategy.agree(time.monotonic() - started)
        if look.score > state.best:
            state.best, state.best_step, state.stale = look.score, state.step, 0
            self.best_weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        else:
            state.stale += 1
        self._plateau(look)
        self._averaged(False)
        facts = {"loss": None, "lr": state.rate, "validation": round(look.score, 3)}
        self._keep(facts, {"validation_loss": look.loss})
        stage.update(self._share_here(), validation=f"{look.score:.1f}")

    def _plateau(self, look: Look) -> None:
        """Lower the rate where the validation loss (or, unknown, the score) has not got better for some looks."""
        settings, state = self.settings, self.state
        value = -look.score if look.loss is None else look.loss
        if value < state.lowest_loss:
            state.lowest_loss, state.flat = value, 0
            return
        state.flat += 1
        if settings.schedule == "plateau" and state.flat >= settings.plateau_patience:
            state.rate_scale, state.flat = state.rate_scale * settings.plateau_factor, 0

"""The training loop: one for every objective, under a clock or for a number of epochs.

Reproducible: batches follow from the seed and the epoch, dropout from the seed and the step, so that a
training that was killed and resumed ends with the same weights as an undisturbed one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lighten.errors import BuildError
from lighten.progress import Progress, Stage
from lighten.train import precision as precisions
from lighten.train.batches import Batch, TokenBudgetSampler
from lighten.train.checkpoint import Checkpoints, State
from lighten.train.objectives import Objective, Outputs
from lighten.train.schedule import budget_share, linear_with_warmup

MIN_SECONDS = 1.0
"""A clock is never shorter than this."""


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        epochs: passes over the data; an upper limit where `seconds` is given.
        seconds: wall-clock for the whole training, validations included; None trains by epochs alone.
        learning_rate: peak of the schedule.
        warmup: share of the budget in which the learning rate rises.
        weight_decay: on matrices only.
        clip: largest gradient norm.
        validations_per_epoch: how often to look at the validation split.
        patience: validations without a new best before stopping, in the second half of the budget: a new head
            may stand at chance for some validations before it takes off.
        restore_margin: points by which an earlier state must beat the last one to be restored: on a small
            validation split a small lead is luck, and choosing it would flatter the model.
        precision: ``auto``, ``fp32`` or ``bf16``, or what `precision.choose` said earlier.
    """

    epochs: float = 3.0
    seconds: float | None = None
    learning_rate: float = 1e-4
    warmup: float = 0.06
    weight_decay: float = 0.01
    clip: float = 1.0
    validations_per_epoch: int = 2
    patience: int = 4
    restore_margin: float = 1.5
    precision: str | precisions.Precision = "auto"
    seed: int = 0


@dataclass(frozen=True)
class Report:
    """What a training did; `history` has one entry per reported step."""

    seconds: float
    steps: int
    epochs: float
    tokens_per_second: float
    padded_share: float
    precision: str
    precision_reason: str
    best: float
    best_step: int
    stopped: str
    history: list[dict[str, Any]]


def make_optimizer(model: torch.nn.Module, settings: Settings) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov and Hutter 2019) without decay on vectors and embeddings."""
    decayed: list[torch.nn.Parameter] = []
    plain: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (decayed if parameter.dim() > 1 and "embedding" not in name else plain).append(parameter)
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)


def forward(model: torch.nn.Module, batch: Batch, states: bool) -> Outputs:
    """Run a sequence classifier on a padded batch."""
    mask = torch.from_numpy(batch.mask)
    result = model(input_ids=torch.from_numpy(batch.ids), attention_mask=mask, output_hidden_states=states)
    return Outputs(result.logits, result.hidden_states[-1] if states else None, mask)


class Training:
    """One training of one model; `run` does it.

    Args:
        model: a transformers sequence classifier; trained in place.
        sampler: the examples.
        objective: loss per example.
        validate: returns the score on the validation split (higher is better), called in evaluation mode.
        settings: how to train.
        checkpoints: folder for checkpoints, or None.
        progress: where to report.
        name: of the stage.
        tick: called at every step (the build's clock).
    """

    def __init__(
        self,
        model: Any,
        sampler: TokenBudgetSampler,
        objective: Objective,
        validate: Callable[[precisions.Precision], float],
        settings: Settings,
        *,
        checkpoints: Path | None = None,
        progress: Progress | None = None,
        name: str = "training",
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        self.model, self.sampler, self.objective, self.validate = model, sampler, objective, validate
        self.settings, self.progress, self.name, self.tick = settings, progress or Progress(), name, tick
        self.precision = precisions.choose(settings.precision, model.config.hidden_size, sampler.budget)
        self.optimizer = make_optimizer(model, settings)
        self.checkpoints = Checkpoints(checkpoints)
        self.state = State()
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.per_epoch = len(sampler.batches(0))
        self.total_steps = max(1, math.ceil(settings.epochs * self.per_epoch))
        self.rows = sampler.rows_per_batch
        self.tokens = 0

    def run(self) -> Report:
        """Train, restore an earlier state if it was clearly better, report.

        Raises:
            BuildError: the loss is no longer a finite number.
        """
        restored = self.checkpoints.load(self.model, self.optimizer)
        if restored is not None:
            self.state, self.best_weights = restored
            if self.state.precision not in ("", self.precision.name):
                self.precision = precisions.Precision(self.state.precision, "as before the interruption")
        self.state.precision = self.precision.name
        self._offset = self.state.elapsed
        self._started = time.monotonic()
        with self.progress.stage(self.name, total=1.0) as stage:
            stopped = self._steps(stage)
            self._validate(stage)
        last = self.state.history[-1]["validation"]
        if self.best_weights is not None and self.state.best - last > self.settings.restore_margin:
            self.model.load_state_dict(self.best_weights)
        state = self.state
        spent = max(1e-9, time.monotonic() - self._started)
        return Report(
            seconds=round(self._elapsed(), 2),
            steps=state.step,
            epochs=round(state.step / self.per_epoch, 3),
            tokens_per_second=round(self.tokens / spent, 1),
            padded_share=round(self.sampler.padded_share, 4),
            precision=self.precision.name,
            precision_reason=self.precision.reason,
            best=state.best,
            best_step=state.best_step,
            stopped=stopped,
            history=state.history,
        )

    def _elapsed(self) -> float:
        return self._offset + time.monotonic() - self._started

    def _share(self) -> float:
        limit = self.settings.seconds
        if limit is not None:
            limit = max(MIN_SECONDS, limit - self.state.validation_seconds)  # room for the last look
        return budget_share(self.state.step, self.total_steps, self._elapsed(), limit)

    def _steps(self, stage: Stage) -> str:
        every = max(1, self.per_epoch // self.settings.validations_per_epoch)
        while (share := self._share()) < 1.0:
            loss = self._step(share)
            state = self.state
            if state.step % 10 == 0 or state.step == 1:
                self._record(loss, stage)
            if self._look(every):
                self._validate(stage)
                if state.stale >= self.settings.patience and self._share() >= 0.5:
                    return "early"
            if self.checkpoints.due():
                state.elapsed = self._elapsed()
                self.checkpoints.save(state, self.model, self.optimizer, self.best_weights)
            self.tick()
        return "steps" if self.state.step >= self.total_steps else "clock"

    def _look(self, every: int) -> bool:
        """Whether to validate now: at equal distances, and under a clock early enough to know how long it takes."""
        share = self._share()
        if share >= 0.95:  # the last look comes anyway
            return False
        unknown = self.settings.seconds is not None and not self.state.validation_seconds
        return self.state.step % every == 0 or (unknown and share >= 0.4)

    def _step(self, share: float) -> float:
        settings, state = self.settings, self.state
        if state.position >= len(self.sampler.batches(state.epoch)):
            state.epoch, state.position = state.epoch + 1, 0
        batch = self.sampler.batch(state.epoch, state.position)
        torch.manual_seed((settings.seed * 1_000_003 + state.step) % 2**63)
        self.model.train()
        state.rate = settings.learning_rate * linear_with_warmup(share, settings.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = state.rate
        with self.precision.context():
            outputs = forward(self.model, batch, self.objective.needs_states)
        # Divided by the mean number of rows, not by this batch's: every example weighs the same.
        loss = self.objective(outputs, torch.from_numpy(batch.index)).sum() / self.rows
        value = float(loss.detach())
        if not math.isfinite(value):
            raise BuildError(f"{self.name}: the loss became {value} at step {state.step}; lower the learning rate")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        state.step += 1
        state.position += 1
        self.tokens += int(batch.mask.sum())
        return value * self.rows / len(batch.index)

    def _record(self, loss: float, stage: Stage) -> None:
        state = self.state
        state.history.append(
            {
                "step": state.step,
                "seconds": round(self._elapsed(), 2),
                "loss": round(loss, 5),
                "lr": state.rate,
                "validation": None,
            }
        )
        speed = self.tokens / max(1e-9, time.monotonic() - self._started)
        facts: dict[str, Any] = {
            "epoch": f"{state.step / self.per_epoch:.1f}",
            "loss": f"{loss:.3f}",
            "tok/s": f"{speed:,.0f}",
        }
        if math.isfinite(state.best):
            facts["best"] = f"{state.best:.1f}"
        stage.update(self._share(), **facts)

    def _validate(self, stage: Stage) -> None:
        state = self.state
        if state.history and state.history[-1]["validation"] is not None and state.history[-1]["step"] == state.step:
            return
        started = time.monotonic()
        self.model.eval()
        score = self.validate(self.precision)
        state.validation_seconds = time.monotonic() - started
        if score > state.best:
            state.best, state.best_step, state.stale = score, state.step, 0
            self.best_weights = {name: value.clone() for name, value in self.model.state_dict().items()}
        else:
            state.stale += 1
        state.history.append(
            {
                "step": state.step,
                "seconds": round(self._elapsed(), 2),
                "loss": None,
                "lr": state.rate,
                "validation": round(score, 3),
            }
        )
        stage.update(self._share(), validation=f"{score:.1f}")

"""One step: its examples, its rate, its gradients in micro-batches that memory allows, its update."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from lighten.errors import BuildError
from lighten.train.bookkeeping import Bookkeeping
from lighten.train.looks import cooling_factor
from lighten.train.memory_error import out_of_memory
from lighten.train.microbatch import MicroBatches
from lighten.train.objectives import Objective
from lighten.train.orders import Planned
from lighten.train.parallel.strategy import Strategy
from lighten.train.precision import Precision
from lighten.train.prefetch import Prefetch
from lighten.train.sampler import Sampler
from lighten.train.schedule import factor
from lighten.train.settings import Settings
from lighten.train.state import State
from lighten.train.update import Overflow, loss_scale, update


class Step:
    """Does one optimiser step after the other; what changes between two of them is in the `State`.

    Args:
        model: trained in place.
        sampler: the examples.
        objective: the loss.
        optimizer: of the parameters.
        parameters: what this process owns of those that are trained.
        settings: how to train.
        strategy: the processes that train together.
        books: told of smaller micro-batches.
    """

    def __init__(
        self,
        model: Any,
        sampler: Sampler,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        parameters: Sequence[torch.nn.Parameter],
        settings: Settings,
        strategy: Strategy,
        books: Bookkeeping,
    ) -> None:
        self.model, self.sampler, self.objective = model, sampler, objective
        self.optimizer, self.parameters = optimizer, parameters
        self.settings, self.strategy, self.books = settings, strategy, books
        self.divisor = sampler.units_per_batch
        batches = MicroBatches(sampler, strategy)
        self.prefetch = Prefetch(batches.make, batches.following)
        self.tokens = 0
        """Real tokens trained on in this process, those that a recovery took back included."""

    def __call__(self, state: State, precision: Precision, share: float) -> float:
        """Do the step after a state, and note it there.

        Args:
            state: where the training stands.
            precision: of the forward pass.
            share: of the budget that is used, 0 to 1.

        Returns:
            The loss per unit.

        Raises:
            Overflow: loss or gradients are no finite numbers.
            BuildError: a single text does not fit in memory.
        """
        settings = self.settings
        while state.position >= len(self.sampler.batches(state.epoch)):
            state.epoch, state.position = state.epoch + 1, 0
        planned = self.sampler.batches(state.epoch)[state.position]
        torch.manual_seed((settings.seed * 1_000_003 + state.step + self.strategy.copy * 7919) % 2**63)
        self.model.train()
        if hasattr(self.objective, "at"):
            self.objective.at(share)
        height = factor(settings.schedule, share, settings.warmup, settings.decay) * cooling_factor(state)
        state.rate = settings.learning_rate * state.rate_scale * height
        for group in self.optimizer.param_groups:
            group["lr"] = state.rate
        total, tokens = self._gradients(state, precision, planned)
        units = self.sampler.dataset.units(planned.index, planned.limit)
        if not math.isfinite(total):
            raise Overflow(f"the loss became {total}")
        update(self.optimizer, self.parameters, state, precision, self.strategy, settings.clip)
        state.step += 1
        state.position += 1
        state.tokens += tokens
        self.tokens += tokens
        return total / max(units, 1e-9)

    def _gradients(self, state: State, precision: Precision, planned: Planned) -> tuple[float, int]:
        """Compute the step's gradients; where memory runs out, in micro-batches of half the size from now on.

        Returns:
            The sum of the loss over all processes, and the step's real tokens.
        """
        scale = loss_scale(state, precision)
        while True:
            try:
                batches = self.prefetch.get((state.epoch, state.position, state.micro_tokens))
                total = self.strategy.gradients(self.objective, batches, self.divisor, precision, scale)
                tokens = int(self.sampler.lengths(planned).sum())
                return self.strategy.total([total])[0], tokens
            except Exception as error:
                # Other processes would wait for this one: there, the launcher starts all of them again.
                if not out_of_memory(error) or self.strategy.world_size > 1:
                    raise
                self._halve(state, planned, error)
                self.optimizer.zero_grad(set_to_none=True)

    def _halve(self, state: State, planned: Planned, error: Exception) -> None:
        lengths = self.sampler.lengths(planned)
        longest, used = int(lengths.max()), state.micro_tokens or self.sampler.budget
        if used <= longest:  # a single text is a forward pass of its own already
            raise BuildError(
                f"{self.books.name}: a single text of {longest} tokens does not fit in memory; lower max_tokens or "
                "switch on gradient_checkpointing"
            ) from error
        state.micro_tokens = max(longest, used // 2)
        self.books.note(
            state, f"out of memory: micro-batches of {state.micro_tokens} tokens from step {state.step} on"
        )

"""What a training says while it runs: history and notes in its state, records to the sinks, a line for the eye."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from lighten.progress import Progress, Stage
from lighten.train.clock import TrainingClock
from lighten.train.metrics import Sink
from lighten.train.settings import Look
from lighten.train.state import State


class Bookkeeping:
    """Keeps the books of one training.

    Args:
        name: of the stage.
        sinks: where records go, besides the history.
        progress: where notes go, besides the state.
        clock: of the training.
        per_epoch: steps of an epoch.
        first: whether this is the first of the processes: the others tell nobody.
    """

    def __init__(
        self, name: str, sinks: Sequence[Sink], progress: Progress, clock: TrainingClock, per_epoch: int, first: bool
    ) -> None:
        self.name, self.sinks, self.progress = name, list(sinks), progress
        self.clock, self.per_epoch, self.first = clock, per_epoch, first

    def note(self, state: State, text: str) -> None:
        """Say what happened on the way."""
        state.notes.append(text)
        if self.first:
            self.progress.note(f"{self.name}: {text}")

    def resumed(self, state: State) -> None:
        """Let the sinks forget what is about to be made again."""
        self._tell(state, lambda sink: sink.resume(state.step))

    def record(self, state: State, loss: float, tokens: int, stage: Stage) -> None:
        """Keep a step.

        Args:
            state: after the step.
            loss: per unit.
            tokens: trained on since the start in this process.
            stage: shows it.
        """
        speed = tokens / max(1e-9, self.clock.spent)
        facts = {"loss": round(loss, 5), "lr": state.rate, "validation": None}
        self._keep(state, facts, {"tokens_per_second": speed})
        shown: dict[str, Any] = {
            "epoch": f"{state.step / self.per_epoch:.1f}",
            "loss": f"{loss:.3f}",
            "tok/s": f"{speed:,.0f}",
        }
        if math.isfinite(state.best):
            shown["best"] = f"{state.best:.1f}"
        stage.update(self.clock.share_here(state), **shown)

    def record_look(self, state: State, look: Look, stage: Stage) -> None:
        """Keep a look at the validation split."""
        facts = {"loss": None, "lr": state.rate, "validation": round(look.score, 3)}
        self._keep(state, facts, {"validation_loss": look.loss})
        stage.update(self.clock.share_here(state), validation=f"{look.score:.1f}")

    def _keep(self, state: State, facts: dict[str, Any], more: dict[str, Any]) -> None:
        entry = {"step": state.step, "seconds": round(self.clock.elapsed, 2), **facts}
        state.history.append(entry)
        if self.first:
            record = {**entry, "epoch": round(state.step / self.per_epoch, 4), **more}
            self._tell(state, lambda sink: sink.write(record))

    def _tell(self, state: State, what: Callable[[Sink], None]) -> None:
        for text in tell(self.sinks, what):
            if text not in state.notes:
                self.note(state, text)


def tell(sinks: Sequence[Sink], what: Callable[[Sink], None]) -> list[str]:
    """Do something with every sink, and return what failed: metrics that cannot be written stop no training."""
    failed = []
    for sink in sinks:
        try:
            what(sink)
        except OSError as error:
            failed.append(f"metrics cannot be written: {error}")
    return failed

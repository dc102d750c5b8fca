"""How a clock is shared among the steps that train."""

from __future__ import annotations

from lighten.compose.plan import Plan, distils
from lighten.workshop.work import Work

LEAST = 5.0
"""Seconds below which a training is not worth its start."""
FIXED, PER_STAGE = 20.0, 3.0
"""Seconds kept free for the proof, and for exporting and measuring each model."""
MOST_KEPT = 0.4
"""Share of the clock that is kept free at most."""


class Allotment:
    """Gives every training still to come an equal share of what is left of the clock.

    A share is decided once and journaled: a resumed compression trains for as long as the one before it would have.

    Args:
        work: knows clock and journal.
        plan: what trains.
        control: what else trains, after the plan.
    """

    def __init__(self, work: Work, plan: Plan, control: Plan | None) -> None:
        self.work, self.limit = work, work.recipe.clock_seconds
        self.trainings, self.further = plan.trainings, 0
        stages = 1 + len(plan.steps)
        if control is not None:
            first = next(at for at, step in enumerate(plan.steps) if distils(step))
            self.further = sum(step.trains for step in control.steps[first:])
            stages += len(control.steps) - first
        self.kept = min(FIXED + PER_STAGE * stages, MOST_KEPT * (self.limit or 0.0))

    def __call__(self, number: int, name: str) -> float | None:
        """Return the seconds of a training; None where there is no clock.

        Args:
            number: of the training in its plan. A control trains as long as the student whose place it takes.
            name: for the note on screen.
        """
        if self.limit is None:
            return None

        def share() -> float:
            left = self.work.clock.left - self.kept
            return round(max(LEAST, left / max(1, self.trainings - number + self.further)), 1)

        seconds: float = self.work.journal.decide(f"seconds for training {number}", self.work.scope, share)
        self.work.progress.note(f"{name} trains for at most {seconds:.0f} s")
        return seconds

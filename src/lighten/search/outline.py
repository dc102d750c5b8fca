"""What a build expects to do, said before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lighten.compress.steps import Finetune
from lighten.search.cost.shapes import REFERENCE
from lighten.search.decision.reach import NEAREST_MISS
from lighten.search.rungs.student import affordable_students, with_room
from lighten.search.standing import Standing
from lighten.search.students.copies import copies_for
from lighten.search.students.policy import epoch_seconds, margin, next_student
from lighten.search.students.space import Student
from lighten.search.timing import (
    AROUND_TRAINING,
    MIN_TRAINING,
    TEACHER_OVER_EPOCH,
    clock,
    left_for_students,
    reference_seconds,
    seconds_per_text,
)

TRAINING_OVER_INFERENCE = 3.0
"""Forward, gradients of activations, gradients of weights: a training step costs about three inferences."""


@dataclass(frozen=True)
class ReferenceForecast:
    """How the reference is expected to train: tokens per second, seconds of an epoch, seconds in all."""

    speed: float
    epoch: float
    seconds: float

    copies: int = 0
    """Perturbed copies of each text that it answers besides."""

    @property
    def teaching(self) -> float:
        """Seconds from its first step until students can start: its training, and its answers as their teacher."""
        return self.seconds + TEACHER_OVER_EPOCH * (1 + self.copies) * self.epoch


def reference_forecast(standing: Standing) -> ReferenceForecast:
    """Return how the reference will train, from the speed of its shape measured with random weights.

    Under a clock it trains for its share of the time and its epochs at most, and, as `rungs.reference` has it, for a
    short time where nothing can fit; else for the recipe's epochs.
    """
    run = standing.run
    throughput = float(standing.costs[REFERENCE]["throughput_per_s"])
    speed = throughput * run.recipe.target.tokens / TRAINING_OVER_INFERENCE
    epoch = run.train_tokens / speed
    if not run.by_clock:
        seconds = (run.recipe.search.reference_epochs or 2.0) * epoch
        return ReferenceForecast(speed, epoch, seconds, copies_for(run, standing.expected))
    longest = reference_seconds(run, standing.expected)
    if run.unreachable:
        longest = min(NEAREST_MISS, longest)
    seconds = min(longest, Finetune().epochs * epoch)
    return ReferenceForecast(speed, epoch, seconds, copies_for(run, replace(standing.expected, speed=speed), seconds))


def no_time_for_students(standing: Standing, costing: float) -> bool:
    """Whether a build by the clock leaves no student the time that a training takes at least.

    Args:
        standing: before the first training; the costs of the reference suffice.
        costing: seconds that costing the shapes will take.
    """
    run = standing.run
    per_text = seconds_per_text(run, standing.costs[REFERENCE]["latency_ms"]["p50"])
    # Each training ends with a look at validation that its clock does not count; then its export is looked at. Copies
    # wait for the time there is.
    ahead = (
        replace(reference_forecast(standing), copies=0).teaching
        + 2 * AROUND_TRAINING
        + 3 * len(run.validation) * per_text
    )
    return left_for_students(run, standing.expected, costing + ahead) < MIN_TRAINING


def outline(standing: Standing, rungs: Sequence[str]) -> str:
    """Return the forecast in a sentence."""
    run, expected, reference = standing.run, standing.expected, reference_forecast(standing)
    speed, seconds = reference.speed, reference.seconds
    parts = [f"reference about {seconds:.0f} s ({seconds / reference.epoch:.1f} epochs)"]
    options = affordable_students(standing) if "student" in rungs else []
    options = with_room(standing, options) if run.by_clock else options
    left = left_for_students(run, expected, reference.teaching)
    wanted = standing.distil.epochs

    def reachable(student: Student) -> float:
        return wanted if not run.by_clock else min(wanted, max(1.0, left) / epoch_of[student])

    epoch_of = {o.student: epoch_seconds(o.student, run.full, run.train_tokens, speed, run.relations) for o in options}
    floor = run.recipe.budget.quality
    tolerated = None if run.recipe.objective == "quality" else -floor if floor is not None and floor < 0 else 1.0
    first = next_student(options, run.full, {}, tolerated, margin(len(run.validation)), reachable)
    if first is not None and run.by_clock and left < MIN_TRAINING:
        parts.append("no time for students")
    elif first is not None:
        each = reachable(first) * epoch_of[first]
        more = (run.recipe.search.candidates or 1) if not run.by_clock else max(1, int(left / max(each, 1.0)))
        students = "1 student" if more == 1 else f"up to {more} students"
        parts.append(f"{students}, the first {first.name(run.full)} for about {each:.0f} s")
    parts.append(f"proof about {expected.proof:.0f} s")
    limit = f" of {clock(60 * run.recipe.budget.build_minutes)}" if run.by_clock else ""
    return f"expected: {', '.join(parts)}; {clock(run.clock.spent)}{limit} are over"

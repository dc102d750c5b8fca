"""How the time of a build is divided, and what is still to come."""

from __future__ import annotations

from dataclasses import dataclass

from lighten.search.decision.reach import NEAREST_MISS
from lighten.search.run import Run

REFERENCE_SHARE = 0.45
"""Share of the time for training that the reference gets: students start from it and learn from it."""
ALONE_SHARE = 0.7
"""The same where no student can be trained: a forecast by a third too short still keeps the clock."""
FIXED_PROOF = 25.0
"""Seconds of what follows the last training that grow with neither the test split nor the time to build: timing all
candidates, the second look, memory, cold starts, what each step bought, report."""
TIMING_SHARE = 0.02
"""Share of the build for the final timings, ten seconds at most."""
TEACHER_OVER_EPOCH = 0.4
"""The teacher's pass over the training texts, in epochs of training."""
MIN_TRAINING = 15.0
"""Seconds below which training a student is not worth its start."""
AROUND_TRAINING = 3.0
"""Seconds of a training that its clock does not count: reading the texts, probing a batch, writing."""


VALIDATION_PASSES = 1.2
"""What measuring an exported model on validation takes, in passes of the reference over it."""
PROOF_PASSES = 1.5
"""What the proof's answers take, in passes of the reference over the test: a smaller model adds about half of one."""
SHORTEST = 0.3
"""Share of a call at the target below which a shorter text does not get."""


@dataclass
class Forecast:
    """What the coming work is expected to cost, in seconds.

    Attributes:
        proof: the final measurement.
        validations: measuring exported models on validation, per model.
        speed: training tokens per second of the reference; None until it was trained.
    """

    proof: float
    validations: float
    speed: float | None = None


def seconds_per_text(run: Run, reference_ms: float) -> float:
    """Return what the reference takes to answer a text as they are: a call at the target has its tokens, they theirs.

    Args:
        run: the build.
        reference_ms: median of a call of the reference at the target.
    """
    target = run.recipe.target
    longer = run.train_tokens / len(run.train) / target.tokens
    return reference_ms / 1000 / target.batch * max(SHORTEST, longer)


def final_timings(run: Run) -> float:
    """Return the seconds that chosen model and reference are timed for in the proof."""
    return min(10.0, TIMING_SHARE * 60 * run.recipe.budget.build_minutes)


def forecast(run: Run, reference_ms: float) -> Forecast:
    """Return the forecast from the measured speed of the reference's shape.

    Args:
        run: the build.
        reference_ms: median of a call of the reference at the target.
    """
    seconds = seconds_per_text(run, reference_ms)
    proof = FIXED_PROOF + final_timings(run) + PROOF_PASSES * run.test_rows * seconds
    return Forecast(proof=proof, validations=VALIDATION_PASSES * len(run.validation) * seconds)


def reference_seconds(run: Run, expected: Forecast) -> float:
    """Return the seconds for training the reference."""
    free = run.clock.left - expected.proof - 3 * expected.validations
    return round(max(MIN_TRAINING, (ALONE_SHARE if run.no_students else REFERENCE_SHARE) * free), 1)


def left_for_students(run: Run, expected: Forecast, ahead: float = 0.0) -> float:
    """Return the seconds that students may still use, the proof kept free.

    Args:
        run: the build.
        expected: what is still to come.
        ahead: seconds of what comes before the students and has not begun yet.
    """
    left = run.clock.left - expected.proof - expected.validations - ahead
    return min(left, NEAREST_MISS - run.stages.get("students", 0.0)) if run.unreachable else left


def tell(run: Run, stage: str, expected: Forecast, text: str) -> None:
    """Say how the time stands, on screen and for the report."""
    left = max(0.0, run.clock.left)
    run.estimates.append({"at": round(run.clock.spent, 1), "stage": stage, "seconds_left": round(left, 1)})
    run.progress.note(f"{text}; {clock(left)} of the budget left, {clock(expected.proof)} kept for the proof")


def clock(seconds: float) -> str:
    """Return minutes and seconds, such as ``7:05``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

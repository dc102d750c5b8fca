"""What a build expects to do, said before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from lighten.compress.steps import Finetune
from lighten.search.cost.shapes import REFERENCE
from lighten.search.rungs.student import affordable_students
from lighten.search.standing import Standing
from lighten.search.students.policy import epoch_seconds, margin, next_student
from lighten.search.students.space import Student
from lighten.search.timing import TEACHER_OVER_EPOCH, clock, left_for_students, reference_seconds

TRAINING_OVER_INFERENCE = 3.0
"""Forward, gradients of activations, gradients of weights: a training step costs about three inferences."""


def outline(standing: Standing, rungs: Sequence[str]) -> str:
    """Return the forecast in a sentence, from the speed of the reference's shape measured with random weights."""
    run, expected = standing.run, standing.expected
    throughput = float(standing.costs[REFERENCE]["throughput_per_s"])
    speed = throughput * run.recipe.target.tokens / TRAINING_OVER_INFERENCE
    epoch = run.train_tokens / speed
    if run.by_clock:
        seconds = min(reference_seconds(run, expected), Finetune().epochs * epoch)
    else:
        seconds = (run.recipe.search.reference_epochs or 2.0) * epoch
    parts = [f"reference about {seconds:.0f} s ({seconds / epoch:.1f} epochs)"]
    options = affordable_students(standing) if "student" in rungs else []
    left = left_for_students(run, expected) - seconds - TEACHER_OVER_EPOCH * epoch
    wanted = standing.distil.epochs

    def reachable(student: Student) -> float:
        return wanted if not run.by_clock else min(wanted, max(1.0, left) / epoch_of[student])

    epoch_of = {o.student: epoch_seconds(o.student, run.full, run.train_tokens, speed) for o in options}
    floor = run.recipe.budget.quality
    tolerated = None if run.recipe.objective == "quality" else -floor if floor is not None and floor < 0 else 1.0
    first = next_student(options, run.full, {}, tolerated, margin(len(run.validation)), reachable)
    if first is not None:
        each = reachable(first) * epoch_of[first]
        more = (run.recipe.search.candidates or 1) if not run.by_clock else max(1, int(left / max(each, 1.0)))
        students = "1 student" if more == 1 else f"up to {more} students"
        parts.append(f"{students}, the first {first.name(run.full)} for about {each:.0f} s")
    parts.append(f"proof about {expected.proof:.0f} s")
    limit = f" of {clock(60 * run.recipe.budget.build_minutes)}" if run.by_clock else ""
    return f"expected: {', '.join(parts)}; {clock(run.clock.spent)}{limit} are over"

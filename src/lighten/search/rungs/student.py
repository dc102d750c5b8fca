"""The third rung: students cut from the reference and distilled, one after the other while they promise something."""

from __future__ import annotations

from collections.abc import Callable

from lighten.errors import LightenError
from lighten.pipeline import Artifact
from lighten.search.candidate import Candidate
from lighten.search.policy import Option, epoch_seconds, margin, next_student
from lighten.search.space import Student, capacity
from lighten.search.standing import Reference, Standing
from lighten.search.students import train_student
from lighten.search.timing import MIN_TRAINING, left_for_students, tell
from lighten.workshop.answers import teacher_answers
from lighten.workshop.limits import all_limits, cost_limits, total_excess, value_of


def climb_students(standing: Standing, reference: Reference) -> None:
    """Train and measure students until the time is up or none of the rest can be better."""
    run = standing.run
    if not any(standing.missed(name) is None for name in standing.points) and _nothing_nearer(standing):
        run.progress.note("no student can come nearer to the budget than what was measured: none is trained")
        return
    options = affordable_students(standing)
    floor = None if run.recipe.objective == "quality" else tolerated_loss(standing)
    teacher: Artifact | None = None
    safety = margin(len(run.validation))
    while True:
        reachable = _reachable_epochs(standing)
        student = next_student(options, run.full, standing.lost, floor, safety, reachable)
        if student is None:
            break
        distilled = [s for s in standing.lost if capacity(s, run.full) < 1]
        full_size = capacity(student, run.full) == 1
        if not full_size and not _worth_starting(standing, student, len(distilled)):
            break
        if not full_size and teacher is None:
            teacher = run.timed("teacher", lambda: teacher_answers(run, reference.checkpoint))
        _train_and_measure(standing, reference, student, teacher)


def _nothing_nearer(standing: Standing) -> bool:
    """Whether a measured candidate misses the budget by less, quality included, than any student by its cost alone."""
    budget = standing.run.recipe.budget
    known = [total_excess(all_limits(budget, c.metrics)) for c in standing.measured.values() if c.status == "measured"]
    students = [total_excess(cost_limits(budget, standing.costs[name])) for name in standing.points]
    return bool(known) and min(known) <= min(students, default=float("inf"))


def affordable_students(standing: Standing) -> list[Option]:
    """Return the students with at least one export within the limits on cost; without any, the nearest miss."""
    run = standing.run
    values: dict[Student, float] = {}
    for name, point in standing.points.items():
        if standing.missed(name) is None:
            value = _value(standing, name)
            values[point.student] = min(values.get(point.student, value), value)
    if not values and standing.points:
        names = list(standing.points)
        near = min(
            names, key=lambda n: (total_excess(cost_limits(run.recipe.budget, standing.costs[n])), standing.order(n))
        )
        values[standing.points[near].student] = 0.0
    return [Option(student, value) for student, value in values.items()]


def _value(standing: Standing, name: str) -> float:
    """Return the cost to order students by, smaller is better; by shape alone where the build must be reproducible."""
    run, metrics = standing.run, standing.costs[name]
    if not run.by_clock:
        return standing.order(name)
    if run.recipe.objective in ("latency_ms", "quality"):  # limits are about p95, but the median is steadier
        return float(metrics["latency_ms"]["p50"])
    value = value_of(metrics, run.recipe.objective) or 0.0
    return -value if run.recipe.objective == "throughput_per_s" else value


def tolerated_loss(standing: Standing) -> float:
    """Return the points that may be lost on validation; without a floor one point."""
    floor = standing.run.recipe.budget.quality
    if floor is None:
        return 1.0
    return -floor if floor < 0 else standing.validated["reference"] - floor


def _worth_starting(standing: Standing, student: Student, distilled: int) -> bool:
    """Whether there is time, or a place among the candidates asked for; the first student always gets its chance."""
    run = standing.run
    if not run.by_clock:
        return distilled < (run.recipe.search.candidates or 1)
    if distilled == 0 or run.journal.last("decision", name=_decision(standing, student), scope=run.scope):
        return True
    return left_for_students(run, standing.expected) >= max(MIN_TRAINING, _epoch(standing, student))


def _reachable_epochs(standing: Standing) -> Callable[[Student], float]:
    """Return how many epochs a student could have: as many as distillation wants, or as the time left allows."""
    run, most = standing.run, standing.distil.epochs
    if not run.by_clock:
        return lambda student: most
    left = max(MIN_TRAINING, left_for_students(run, standing.expected))
    return lambda student: min(most, left / _epoch(standing, student))


def _epoch(standing: Standing, student: Student) -> float:
    assert standing.expected.speed is not None
    return epoch_seconds(student, standing.run.full, standing.run.train_tokens, standing.expected.speed)


def _decision(standing: Standing, student: Student) -> str:
    return f"seconds for {student.name(standing.run.full)}"


def _train_and_measure(standing: Standing, reference: Reference, student: Student, teacher: Artifact | None) -> None:
    run, name, seconds = standing.run, student.name(standing.run.full), None
    if run.by_clock and teacher is not None and capacity(student, run.full) < 1:

        def decide() -> float:
            left = left_for_students(run, standing.expected)
            wanted = standing.distil.epochs * _epoch(standing, student)
            return round(max(MIN_TRAINING, min(wanted, left)), 1)

        seconds = run.journal.decide(_decision(standing, student), run.scope, decide)
        tell(run, name, standing.expected, f"{name} trains for at most {seconds:.0f} s")
    try:
        checkpoint, steps = run.timed(
            "students", lambda: train_student(run, student, reference.checkpoint, teacher, standing.distil, seconds)
        )
    except LightenError as error:
        run.journal.write("failed", candidate=name, reason=str(error))
        run.progress.note(f"{name} failed: {error}")
        standing.lost[student] = float("inf")
        standing.measured[name] = Candidate(name, "student", [], "failed", "training_failed")
        return
    standing.checkpoints[student] = (checkpoint, steps)
    names = [n for n, point in standing.points.items() if point.student == student]
    losses = []
    for point_name in [n for n in names if standing.missed(n) is None] or names:
        candidate = standing.measure(
            reference,
            point_name,
            checkpoint,
            steps,
            rung="student",
            order=standing.order(point_name),
            quantise=standing.points[point_name].quantise,
        )
        losses.append(-float(candidate.metrics["quality"]["delta"]))
    standing.lost[student] = min(losses)

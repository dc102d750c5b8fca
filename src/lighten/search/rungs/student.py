"""The third rung: students cut from the reference and distilled, one after the other while they promise something."""

from __future__ import annotations

import math

from lighten.search.run import Run
from lighten.search.standing import Reference, Standing
from lighten.search.students.explore import PROBE, Action, Outlook, several
from lighten.search.students.floors import tolerated_loss
from lighten.search.students.policy import Option, margin, next_student
from lighten.search.students.space import Student, capacity
from lighten.search.students.study import Study
from lighten.search.students.trainings import STARVED, Trainings
from lighten.search.timing import MIN_TRAINING, left_for_students
from lighten.workshop.limits import all_limits, cost_limits, total_excess, value_of

EXPORTS = 2
"""Number formats that a model is measured in."""
ROOM = 0.9
"""Share of a limit on time that a student should need: from one session to the next its timings differ by as much."""


def climb_students(standing: Standing, reference: Reference) -> None:
    """Train and measure students until the time is up or none of the rest can be better."""
    run = standing.run
    if not any(standing.missed(name) is None for name in standing.points) and _nothing_nearer(standing):
        run.progress.note("no student can come nearer to the budget than what was measured: none is trained")
        return
    trainings = Trainings(standing, reference)
    if run.by_clock:
        _by_clock(standing, trainings)
    else:
        _by_number(standing, trainings)


def _by_clock(standing: Standing, trainings: Trainings) -> None:
    """Train what `explore` says until the time or the promise is over."""
    run, study = standing.run, _study(standing)
    trainings.recall([option.student for option in affordable_students(standing)])
    while True:
        options = with_room(standing, affordable_students(standing))
        outlook = _outlook(standing, options, trainings, study)
        actions = several(outlook, run.workers)
        if not actions or not _in_time(standing, outlook, actions[0], trainings.cutting(actions[0].student)):
            break
        if trainings.taught(actions):
            continue  # the teacher's pass took its time: less is left for the students
        if not all([standing.confirm(action.student) for action in actions]):
            continue  # one of them costs more than was predicted
        roomy = {option.student for option in with_room(standing, affordable_students(standing))}
        if not all(action.student.shape_only in roomy for action in actions):
            continue  # within the limits, but nearer than was predicted
        for action in actions:
            run.progress.note(f"next: {action.student.name(run.full)}, {action.epochs:.1f} epochs ({action.why})")
        left = left_for_students(run, standing.expected)
        if len(actions) > 1:
            trainings.ahead(actions, left)
        for action in actions:
            trainings.carry_out(action.student, action.epochs, left)
    last_resort(standing, trainings)


def last_resort(standing: Standing, trainings: Trainings) -> None:
    """Where no student safely holds the floor, measure the reference in other numbers and with fewer pieces.

    That takes no training, and what it loses is little: better than to deliver a student that does not fit.
    """
    run = standing.run
    floor = tolerated_loss(run.recipe, trainings.reference.candidate.metrics["quality"])
    safely = math.inf if floor is None else floor - margin(len(run.validation))
    if any(curve.lost <= safely for curve in standing.curves.values()):
        return
    for student in [option.student for option in affordable_students(standing)]:
        known = student in standing.curves or student in standing.failed
        time = run.clock.left - standing.expected.proof >= EXPORTS * standing.expected.validations
        if capacity(student, run.full) == 1 and not known and time and standing.confirm(student):
            run.progress.note(f"next: {student.name(run.full)}, not trained (no smaller one safely holds the floor)")
            trainings.carry_out(student, 0.0, None)


def _by_number(standing: Standing, trainings: Trainings) -> None:
    """Train as many students as the recipe asks for, each by its epochs: the same on every machine."""
    run = standing.run
    options = affordable_students(standing)
    floor = tolerated_loss(run.recipe, trainings.reference.candidate.metrics["quality"])
    safety = margin(len(run.validation))
    while True:
        student = next_student(options, run.full, standing.lost, floor, safety, lambda s: standing.distil.epochs)
        if student is None:
            break
        distilled = [s for s in standing.lost if capacity(s, run.full) < 1]
        if capacity(student, run.full) < 1 and len(distilled) >= (run.recipe.search.candidates or 1):
            break
        if not standing.confirm(student):
            options = affordable_students(standing)
            continue
        trainings.carry_out(student, standing.distil.epochs, None)


def _outlook(standing: Standing, options: list[Option], trainings: Trainings, study: Study) -> Outlook:
    run = standing.run
    floor = tolerated_loss(run.recipe, trainings.reference.candidate.metrics["quality"])
    safety = margin(len(run.validation))
    costs = {point.student: _cost(standing, name) for name, point in standing.points.items()}
    if floor is not None:
        for student, curve in standing.curves.items():
            if curve.epochs < STARVED * PROBE * standing.distil.epochs:
                continue  # a point in the study's model stays there for good, and this one is about the clock
            value, excess = costs[student.shape_only]
            study.tell(student, value, curve.lost - (floor - safety), excess)
    return Outlook(
        options=options,
        full=run.full,
        curves=dict(standing.curves),
        floor=floor,
        safety=safety,
        left=max(MIN_TRAINING, left_for_students(run, standing.expected)),
        epoch=standing.epoch,
        most=standing.distil.epochs,
        failed=frozenset(standing.failed),
        fresh=trainings.fresh,
        propose=lambda cheaper: study.propose(cheaper, standing.curves, costs),
    )


def _in_time(standing: Standing, outlook: Outlook, action: Action, cutting: float = 0.0) -> bool:
    """Whether an action is worth its start; the first student always gets its chance, as does the reference itself.

    A first one that failed had it: those after it need the time that they take.

    Args:
        standing: with the time that is left.
        outlook: with the students trained so far.
        action: to be carried out.
        cutting: seconds before its training begins.
    """
    if not (standing.curves or standing.failed) or capacity(action.student, standing.run.full) == 1:
        return True
    left = left_for_students(standing.run, standing.expected) - cutting
    return left >= max(MIN_TRAINING, min(1.0, action.epochs) * outlook.epoch(action.student))


def _study(standing: Standing) -> Study:
    run: Run = standing.run
    students = list(dict.fromkeys(point.student for point in standing.points.values()))
    where = run.recipe.search.storage or run.workspace.root / "study.jsonl"
    return Study(where, run.budget_scope, students, run.recipe.seed)


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


def with_room(standing: Standing, options: list[Option]) -> list[Option]:
    """Return the students that keep the limits on time with room, beside those trained already; all where none does.

    The most capable shape within a limit on latency is also the one nearest to it, and what is over it when the
    trained model is timed was trained in vain.

    Args:
        standing: with the costs.
        options: within the limits, see `affordable_students`.
    """
    budget = standing.run.recipe.budget
    room = {
        **({"latency_ms": ROOM * budget.latency_ms} if budget.latency_ms is not None else {}),
        **({"throughput_per_s": budget.throughput_per_s / ROOM} if budget.throughput_per_s is not None else {}),
    }
    strict = budget.model_copy(update=room)

    def roomy(student: Student) -> bool:
        names = standing.names_of(student)
        return any(all(limit.met for limit in cost_limits(strict, standing.costs[name])) for name in names)

    fresh = [option for option in options if option.student not in standing.curves and roomy(option.student)]
    trained = [option for option in options if option.student in standing.curves]
    return [*fresh, *trained] if fresh else options


def _cost(standing: Standing, name: str) -> tuple[float, float]:
    """Return the value of the objective of a point, and the share by which it misses the limits on cost."""
    excess = total_excess(cost_limits(standing.run.recipe.budget, standing.costs[name]))
    return (_value(standing, name) if "latency_ms" in standing.costs[name] else excess), min(excess, 1e9)


def _value(standing: Standing, name: str) -> float:
    """Return the cost to order students by, smaller is better; by shape alone where the build must be reproducible."""
    run, metrics = standing.run, standing.costs[name]
    if not run.by_clock:
        return standing.order(name)
    if run.recipe.objective in ("latency_ms", "quality"):  # limits are about p95, but the median is steadier
        return float(metrics["latency_ms"]["p50"])
    value = value_of(metrics, run.recipe.objective) or 0.0
    return -value if run.recipe.objective == "throughput_per_s" else value

"""The ladder, cheapest rung first: linear, shapes costed, reference, frozen encoder, students while time is left."""

from __future__ import annotations

from lighten.search.candidate import Candidate
from lighten.search.costing import cost_shapes
from lighten.search.decision.reach import look_ahead
from lighten.search.given import given_plan, given_rungs
from lighten.search.memory.retry import spare
from lighten.search.outline import outline
from lighten.search.run import Run
from lighten.search.rungs.cascade import CASCADE, climb_cascades
from lighten.search.rungs.frozen import NAME as FROZEN
from lighten.search.rungs.frozen import climb_frozen
from lighten.search.rungs.linear import NAME as LINEAR
from lighten.search.rungs.linear import cost_linear, fit_linear, linear_suffices, measure_linear
from lighten.search.rungs.long_texts import choose_long
from lighten.search.rungs.plan import carry_out
from lighten.search.rungs.reference import train_reference
from lighten.search.rungs.student import climb_students, last_resort
from lighten.search.standing import Reference, Standing
from lighten.search.students.trainings import Trainings


def climb(run: Run) -> tuple[Standing, Reference, list[Candidate]]:
    """Make and measure candidates until the time or the promising ones run out.

    Returns:
        The standing, the reference, and every candidate considered but the reference; costs of those that were
        built come from one interleaved session.
    """
    plan = given_plan(run)
    run.long_texts = choose_long(run)
    rungs = given_rungs(run)
    standing = cost_shapes(run)
    run.progress.note(outline(standing, rungs))
    linear = None
    if "linear" in rungs:
        linear = spare(run, standing.measured, LINEAR, "linear", lambda: fit_linear(run))
    if not plan and not run.no_students:  # what was not costed is not known to fit nothing
        known = (
            None
            if linear is None
            else spare(run, standing.measured, LINEAR, "linear", lambda: cost_linear(run, linear))
        )
        look_ahead(run, {**standing.costs, **({} if known is None else {LINEAR: known})}, standing.predicted)
    reference = train_reference(standing)
    with run.interrupt.exploration():  # Ctrl-C ends what is inside and goes on to the proof
        if linear is not None:
            spare(run, standing.measured, LINEAR, "linear", lambda: measure_linear(standing, reference, linear))
        if plan:
            carry_out(standing, reference, plan)
        elif linear_suffices(standing):
            run.no_students = False  # with more time too none would have been trained
        elif not run.no_students:
            if "frozen" in rungs:
                spare(run, standing.measured, FROZEN, "frozen", lambda: climb_frozen(standing, reference))
            if "student" in rungs:
                climb_students(standing, reference)
        elif "student" in rungs:
            last_resort(standing, Trainings(standing, reference))
    if "cascade" in rungs:
        spare(run, standing.measured, CASCADE, CASCADE, lambda: climb_cascades(standing, reference))
    standing.time_all(reference)
    untried = [standing.costed(name) for name in standing.points if name not in standing.measured]
    return standing, reference, [*standing.measured.values(), *untried]

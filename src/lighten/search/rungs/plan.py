"""Carries out the one plan that a recipe lists."""

from __future__ import annotations

from lighten.compress.distil import copies_of
from lighten.compress.step import ModelStep
from lighten.search.memory.allotted import allotted, done
from lighten.search.standing import Reference, Standing
from lighten.search.timing import MIN_TRAINING, left_for_students
from lighten.workshop.answers import teacher_answers

NAME = "the recipe's plan"


def carry_out(standing: Standing, reference: Reference, steps: list[ModelStep]) -> None:
    """Apply the steps to the reference, the time left shared equally by those that train; measure the outcome."""
    run = standing.run
    teacher = None
    if any(step.taught for step in steps):
        teacher = run.timed("teacher", lambda: teacher_answers(run, reference.checkpoint, copies_of(steps)))
    artifact = reference.checkpoint
    for number, step in enumerate(steps):
        seconds, given = None, f"seconds for {step.name}, step {number}"
        if run.by_clock and step.trains:
            trainings = sum(later.trains for later in steps[number:])
            share = left_for_students(run, standing.expected) / trainings
            seconds = float(allotted(run, given, lambda s=share: round(max(MIN_TRAINING, s), 1)))  # type: ignore[misc]
        artifact = run.apply(step, artifact, name=step.name, teacher=teacher, seconds=seconds)
        if seconds is not None:
            done(run, given, seconds)
    standing.measure(reference, NAME, artifact, steps, rung="student", order=1)

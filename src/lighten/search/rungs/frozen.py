"""The second rung: the first layers of the given model as they are, and a linear head on their cached features."""

from __future__ import annotations

from pathlib import Path

from lighten.compress.step import ModelStep
from lighten.compress.steps import Frozen, Layers
from lighten.pipeline import Artifact
from lighten.search.memory.allotted import allotted, done
from lighten.search.standing import Reference, Standing
from lighten.search.students.space import Student, capacity, cut_steps
from lighten.search.timing import TEACHER_OVER_EPOCH

NAME = "frozen encoder"
"""Of the rung; its candidate has the shape in its name."""
SHARE = 0.03
"""Share of the build that this rung may take."""
FEWEST = 200
"""Training texts below which it is not worth trying."""


def climb_frozen(standing: Standing, reference: Reference) -> None:
    """Measure the deepest affordable stack of the given model's layers with a linear head, if there is one."""
    run = standing.run
    affordable = [
        point
        for name, point in standing.points.items()
        if standing.missed(name) is None
        and point.student.intermediate == run.full.intermediate
        and point.student.hidden in (None, run.full.hidden)
    ]
    if not affordable:
        return
    point = max(affordable, key=lambda p: (p.student.layers, p.int8, p.quantise == "int8"))
    limit, texts = None, f"texts of frozen, {point.student.name(run.full)}"
    if run.by_clock:
        limit = allotted(run, texts, lambda: _texts(standing, point.student))
        if limit < FEWEST:
            return
    # The last layers of a frozen encoder speak its old task; the first ones are kept.
    cut = [
        Layers(count=s.count, map="first") if isinstance(s, Layers) else s for s in cut_steps(point.student, run.full)
    ]
    steps: list[ModelStep] = [*cut, Frozen(limit=limit)]

    def work() -> Artifact:
        artifact: Artifact | Path = run.model
        for step in steps:
            artifact = run.apply(step, artifact, name=NAME)
        assert isinstance(artifact, Artifact)
        return artifact

    checkpoint = run.timed("frozen", work)
    if run.by_clock:
        done(run, texts, limit)
    name = f"frozen, {point.name(run.full)}"
    standing.costs[name] = standing.costs[point.name(run.full)]
    standing.measure(
        reference,
        name,
        checkpoint,
        steps,
        rung="frozen",
        order=0.5,
        quantise=point.quantise,
        ngrams=run.recipe.search.ngrams,
    )


def _texts(standing: Standing, student: Student) -> int:
    """Return how many training texts this rung has time for."""
    run, speed = standing.run, standing.expected.speed
    assert speed is not None
    per_text = run.train_tokens / len(run.train) / speed * TEACHER_OVER_EPOCH
    affordable = SHARE * 60 * run.recipe.budget.build_minutes / (per_text * max(0.2, capacity(student, run.full)))
    return int(min(len(run.train), affordable))

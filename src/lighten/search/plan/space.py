"""The space of a build before anything is known of it: its points, their tokenizers, and what they should cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lighten.compress.step import ModelStep
from lighten.compress.steps import Intermediate, Layers, Quantise, Vocabulary, Width
from lighten.errors import InputError
from lighten.models.layout import Shape
from lighten.models.pieces import can_trim
from lighten.search.cost.cache import conditions_of
from lighten.search.cost.model import CostModel
from lighten.search.cost.shapes import measure_costs, oversize_mb
from lighten.search.given import given_plan, given_rungs
from lighten.search.plan.points import Costed
from lighten.search.run import Run
from lighten.search.students.making import trimmed_tokenizer
from lighten.search.students.space import Point, Student, enumerate_points

UNCOUNTED = ("quantise", "factorise", "norm", "sparsify", "static", "linear", "ngrams", "student", "extend")
"""Steps that change the cost in ways that are not counted here."""

DIRECT = 40
"""Shapes that are measured one by one; of more, those that decide. What is trained is measured before, always."""


@dataclass(frozen=True)
class Space:
    """The points of a build.

    Attributes:
        rungs: kinds of model it considers; none where the recipe has a list of steps.
        points: students in a precision.
        tokenizers: folder and number of pieces by what a student wants of its vocabulary.
        notes: what was left out of account.
    """

    rungs: tuple[str, ...]
    points: tuple[Point, ...]
    tokenizers: Mapping[Any, tuple[Path, int]]
    notes: tuple[str, ...] = ()

    @property
    def folders(self) -> dict[Any, Path]:
        """Folder of the tokenizer by vocabulary."""
        return {vocabulary: folder for vocabulary, (folder, _) in self.tokenizers.items()}

    @property
    def pieces(self) -> dict[Any, int]:
        """Number of pieces by vocabulary."""
        return {vocabulary: size for vocabulary, (_, size) in self.tokenizers.items()}

    @property
    def costed(self) -> tuple[Point, ...]:
        """The points that a build costs before it trains: none where its recipe has a list of steps."""
        return self.points if self.rungs else ()

    @property
    def direct(self) -> bool:
        """Whether a build measures all of them; of more it measures those that decide, and predicts the others."""
        return len(self.costed) <= DIRECT


def space_of(run: Run) -> Space:
    """Return the points that a build would consider; trims tokenizers, trains nothing.

    Raises:
        InputError: depths, widths or steps that the model does not have.
    """
    _check_target(run)
    steps, rungs, notes = given_plan(run), given_rungs(run), []
    if steps:
        point, odd = point_of(steps, run)
        points = [point]
        if odd:
            notes.append(f"not counted: what the steps {', '.join(odd)} change")
    else:
        students = any(rung in rungs for rung in ("frozen", "student"))
        points = enumerate_points(run.full, run.recipe.search, can_trim(run.model)) if students else []
    wanted = {point.student.vocabulary for point in points}
    return Space(rungs, tuple(points), {v: trimmed_tokenizer(run, v) for v in wanted}, tuple(notes))


def _check_target(run: Run) -> None:
    """Refuse to time texts that the model does not read at once and that nothing is to become of."""
    tokens, most = run.recipe.target.tokens, run.max_tokens
    if tokens <= most or run.long.strategy != "truncate":
        return
    why = f"; no text of the data is longer, the model could read {run.full.positions}" * (most < run.full.positions)
    raise InputError(f"{tokens} tokens, but the model will read at most {most} at once{why}", "target.tokens")


def within_size(run: Run, points: Sequence[Point], pieces: Mapping[Any, int]) -> list[Point]:
    """Return the points whose weights alone keep the limit on size: a build times no others.

    Args:
        run: the build.
        points: of its space.
        pieces: size of the vocabulary by vocabulary.
    """

    def shape(point: Point) -> Shape:
        return point.shape(run.full, pieces[point.student.vocabulary])

    return [point for point in points if oversize_mb(run, shape(point), point.int8) is None]


def point_of(steps: Sequence[ModelStep], run: Run) -> tuple[Point, list[str]]:
    """Return the point that a list of steps leads to, and the names of steps that are not counted."""
    layers, inner, hidden = run.full.layers, run.full.intermediate, run.full.hidden
    vocabulary: int | str = "full"
    quantise, odd = "none", []
    for step in steps:
        if isinstance(step, Layers):
            layers = step.count or len(step.kept or ()) or layers
        elif isinstance(step, Intermediate):
            inner = step.width
        elif isinstance(step, Width):
            hidden = step.hidden
        elif isinstance(step, Vocabulary):
            vocabulary = step.size
        elif isinstance(step, Quantise) and step.format in ("int8", "int8-static"):
            quantise = step.format
        elif type(step).name in UNCOUNTED:
            odd.append(type(step).name)
    student = Student(layers, inner, vocabulary, None if hidden == run.full.hidden else hidden)
    return Point(student, quantise), odd


def predict_space(run: Run, space: Space, model: CostModel) -> dict[str, Costed]:
    """Return every point with the costs that the model predicts, by name."""
    at, found = conditions_of(run), {}
    for point in space.points:
        folder, pieces = space.tokenizers[point.student.vocabulary]
        shape, name = point.shape(run.full, pieces), point.name(run.full)
        metrics = model.predict(shape, point.int8, **at, tokenizer=folder)
        found[name] = Costed(name, metrics, point, shape)
    return found


def measure_points(run: Run, space: Space, points: Sequence[Point]) -> dict[str, dict[str, Any]]:
    """Return the measured metrics of points by name, and those of the reference.

    Shapes over the limit on size are measured too: the plan says how far away they are.
    """
    budget = run.recipe.budget.model_copy(update={"size_mb": None})
    run = replace(run, recipe=run.recipe.model_copy(update={"budget": budget}))
    return measure_costs(run, points, space.folders, space.pieces)

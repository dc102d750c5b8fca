"""The space of candidates: which shapes and precisions there are to choose from, and the plan behind each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lighten.compress.step import ModelStep
from lighten.compress.steps import Distil, Intermediate, Layers, Quantise, Vocabulary
from lighten.errors import InputError
from lighten.models.layout import Shape
from lighten.recipe import Search

PiecesWanted = int | str


@dataclass(frozen=True)
class Student:
    """What is trained: depth, feed-forward width and vocabulary of a student cut from the reference."""

    layers: int
    intermediate: int
    vocabulary: PiecesWanted
    """``used``, ``full`` or a number of pieces."""

    def name(self, full: Shape) -> str:
        """Return a short name such as ``3 layers, ffn 768``; what equals the reference is left out."""
        parts = [f"{self.layers} layer{'s' if self.layers > 1 else ''}"]
        if self.intermediate != full.intermediate:
            parts.append(f"ffn {self.intermediate}")
        if isinstance(self.vocabulary, int):
            parts.append(f"{self.vocabulary} pieces")
        return ", ".join(parts)


@dataclass(frozen=True)
class Point:
    """A candidate: a student and the precision it is exported in."""

    student: Student
    quantise: str
    """``int8`` or ``none``."""

    def name(self, full: Shape) -> str:
        """Return the student's name with the precision."""
        return f"{self.student.name(full)}, {'int8' if self.quantise == 'int8' else 'fp32'}"

    def shape(self, full: Shape, pieces: int) -> Shape:
        """Return the shape of the exported model, `pieces` being the size of the trimmed vocabulary."""
        return full.with_(layers=self.student.layers, intermediate=self.student.intermediate, vocabulary=pieces)


def cut_steps(student: Student, full: Shape) -> list[ModelStep]:
    """Return the steps that cut the student out of the reference; those that would change nothing are left out."""
    steps: list[ModelStep] = []
    if student.layers < full.layers:
        steps.append(Layers(count=student.layers))
    if student.intermediate < full.intermediate:
        steps.append(Intermediate(width=student.intermediate, multiple_of=1))
    if student.vocabulary != "full":
        steps.append(Vocabulary(size=student.vocabulary))  # type: ignore[arg-type]
    return steps


def plan_of(point: Point, full: Shape, distil: Distil) -> list[ModelStep]:
    """Return the whole plan of a candidate after the reference."""
    steps = cut_steps(point.student, full)
    if capacity(point.student, full) < 1:
        steps.append(distil)
    return [*steps, Quantise()] if point.quantise == "int8" else steps


def enumerate_points(full: Shape, search: Search, can_trim: bool) -> list[Point]:
    """Return every candidate within the recipe's `search`, the most capable first.

    Args:
        full: the reference's shape.
        search: what the recipe narrows.
        can_trim: whether this tokenizer can be trimmed.

    Raises:
        InputError: a depth or width the model does not have.
    """
    depths = _checked("search.layers", search.layers, full.layers) or _depths(full.layers)
    widths = _checked("search.intermediate", search.intermediate, full.intermediate) or _widths(full.intermediate)
    vocabularies: list[Any] = list(search.vocabulary or (["used"] if can_trim else ["full"]))
    if not can_trim and vocabularies != ["full"]:
        raise InputError(
            "this model's tokenizer cannot be trimmed (only BPE, Unigram and WordPiece can); use [full]",
            "search.vocabulary",
        )
    formats = search.quantise or ["int8", "none"]
    points = [
        Point(Student(depth, width, vocabulary), quantise)
        for depth in depths
        for width in widths
        for vocabulary in vocabularies
        for quantise in formats
    ]
    return sorted(points, key=lambda p: (-capacity(p.student, full), p.quantise))


def capacity(student: Student, full: Shape) -> float:
    """Return the student's share of the reference's encoder parameters (0 to 1]."""
    own = full.with_(layers=student.layers, intermediate=student.intermediate)
    return own.encoder_parameters / full.encoder_parameters


def relative_cost(point: Point, full: Shape) -> float:
    """Return about how much of the reference's latency a point has, from its shape alone.

    The same on every machine and in every run: it orders candidates where reproducibility counts, and settles
    ties. A quarter of a layer's time does not shrink with its width; int8 takes about 0.4 of fp32.
    """
    student = point.student
    width = capacity(student, full) * full.layers / student.layers
    return student.layers / full.layers * (0.25 + 0.75 * width) * (0.4 if point.quantise == "int8" else 1.0)


def _depths(layers: int) -> list[int]:
    return sorted({d for d in (1, 2, 3, 4, 6, 8, 12, layers) if d <= layers}, reverse=True)


def _widths(width: int) -> list[int]:
    """Full, half and a third, in multiples of 64."""
    return sorted({width, *(max(64, round(width / part / 64) * 64) for part in (2, 3))}, reverse=True)


def _checked(key: str, values: list[int] | None, most: int) -> list[int] | None:
    for value in values or []:
        if not 1 <= value <= most:
            raise InputError(f"{value} is not between 1 and the model's {most}", key)
    return sorted(set(values), reverse=True) if values else None

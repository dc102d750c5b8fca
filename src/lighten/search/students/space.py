"""The space of candidates: which shapes and precisions there are to choose from, and the plan behind each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lighten.compress.step import ModelStep
from lighten.compress.steps import Distil, Intermediate, Layers, Ngrams, Quantise, Vocabulary, Width
from lighten.errors import InputError
from lighten.models.layout import Shape
from lighten.pipeline.step import search_space
from lighten.recipe import Search

PiecesWanted = int | str
_PRECISIONS = {"none": 1.0, "int8": 0.4, "int8-static": 0.41}


@dataclass(frozen=True)
class Student:
    """What is trained: depth, widths and vocabulary of a student cut from the reference."""

    layers: int
    intermediate: int
    vocabulary: PiecesWanted
    """``used``, ``full`` or a number of pieces."""
    hidden: int | None = None
    """Hidden width, heads with it; None for the reference's."""
    settings: tuple[tuple[str, float], ...] = ()
    """Fields of the distillation that differ from the usual, with their values."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as the journal reads them back."""
        return {**asdict(self), "settings": [list(setting) for setting in self.settings]}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Student:
        """Return the student that `to_dict` wrote."""
        return cls(**{**fields, "settings": tuple((name, value) for name, value in fields["settings"])})

    @property
    def shape_only(self) -> Student:
        """The same student, distilled as usual: it costs the same."""
        return replace(self, settings=())

    def name(self, full: Shape) -> str:
        """Return a short name such as ``3 layers, ffn 768``; what equals the reference is left out."""
        parts = [f"{self.layers} layer{'s' if self.layers > 1 else ''}"]
        if self.intermediate != full.intermediate:
            parts.append(f"ffn {self.intermediate}")
        if self.hidden not in (None, full.hidden):
            parts.append(f"hidden {self.hidden}")
        if isinstance(self.vocabulary, int):
            parts.append(f"{self.vocabulary} pieces")
        parts += [f"{field.replace('_', ' ')} {value:g}" for field, value in self.settings]
        return ", ".join(parts)

    def contains(self, other: Student) -> bool:
        """Whether another student can be cut out of this one: nothing of it is larger."""
        same = self.vocabulary == other.vocabulary and self.hidden == other.hidden
        return same and self.layers >= other.layers and self.intermediate >= other.intermediate


@dataclass(frozen=True)
class Point:
    """A candidate: a student and the precision it is exported in."""

    student: Student
    quantise: str
    """``int8``, ``int8-static`` or ``none``."""

    @property
    def format(self) -> str:
        """The word for the precision, as `models.quantised.precision` has it."""
        return "fp32" if self.quantise == "none" else self.quantise

    @property
    def int8(self) -> bool:
        """Whether products are int8, with whatever scales."""
        return self.quantise != "none"

    def name(self, full: Shape) -> str:
        """Return the student's name with the precision."""
        return f"{self.student.name(full)}, {self.format}"

    def shape(self, full: Shape, pieces: int) -> Shape:
        """Return the shape of the exported model, `pieces` being the size of the trimmed vocabulary."""
        return encoder_of(self.student, full).with_(vocabulary=pieces)


def encoder_of(student: Student, full: Shape) -> Shape:
    """Return the student's shape with the reference's vocabulary; heads keep their size."""
    shape = full.with_(layers=student.layers, intermediate=student.intermediate)
    if student.hidden in (None, full.hidden):
        return shape
    assert student.hidden is not None
    return shape.with_(hidden=student.hidden, heads=student.hidden * full.heads // full.hidden)


def cut_steps(student: Student, full: Shape, parent: Student | None = None) -> list[ModelStep]:
    """Return the steps that cut the student out of the reference; those that would change nothing are left out.

    Args:
        student: what to cut.
        full: the reference's shape.
        parent: a student that contains it, to cut it out of that one instead.
    """
    layers, intermediate = (parent.layers, parent.intermediate) if parent else (full.layers, full.intermediate)
    steps: list[ModelStep] = []
    if student.layers < layers:
        steps.append(Layers(count=student.layers, embeddings="auto"))
    if student.intermediate < intermediate:
        steps.append(Intermediate(width=student.intermediate, multiple_of=1))
    if parent is not None:
        return steps
    if student.hidden not in (None, full.hidden):
        assert student.hidden is not None
        steps.append(Width(hidden=student.hidden))
    if student.vocabulary != "full":
        steps.append(Vocabulary(size=student.vocabulary))  # type: ignore[arg-type]
    return steps


def plan_of(point: Point, full: Shape, distil: Distil, ngrams: bool = False) -> list[ModelStep]:
    """Return the whole plan of a candidate after the reference, an n-gram part beside it where it is to have one."""
    steps = cut_steps(point.student, full)
    if capacity(point.student, full) < 1:
        steps.append(distil.model_copy(update=dict(point.student.settings)))
    if ngrams:
        steps.append(Ngrams())
    return [*steps, Quantise(format=point.quantise)] if point.int8 else steps  # type: ignore[arg-type]


def enumerate_points(full: Shape, search: Search, can_trim: bool) -> list[Point]:
    """Return every candidate within the recipe's `search`, the most capable first.

    Feed-forward layers wider beside their hidden states than the reference's are left out, unless either width is
    asked for.

    Args:
        full: the reference's shape.
        search: what the recipe narrows.
        can_trim: whether this tokenizer can be trimmed.

    Raises:
        InputError: a depth or width the model does not have.
    """
    depths = _checked("search.layers", search.layers, full.layers) or _depths(full.layers)
    widths = _checked("search.intermediate", search.intermediate, full.intermediate) or _widths(full.intermediate)
    hiddens = _hiddens(full, search.hidden)
    asked = search.hidden is not None or search.intermediate is not None
    vocabularies: list[Any] = list(search.vocabulary or (["used"] if can_trim else ["full"]))
    if not can_trim and vocabularies != ["full"]:
        raise InputError(
            "this model's tokenizer cannot be trimmed (only BPE, Unigram and WordPiece can); use [full]",
            "search.vocabulary",
        )
    if len({"used", "full"} & set(vocabularies)) == 2:
        raise InputError("'used' and 'full' are not compared in one build; name one of them", "search.vocabulary")
    formats = search.quantise or ["int8", "none"]
    points = [
        Point(Student(depth, width, vocabulary, hidden), quantise)
        for depth in depths
        for width in widths
        for hidden in hiddens
        if asked or width * full.hidden <= full.intermediate * (hidden or full.hidden)
        for vocabulary in vocabularies
        for quantise in formats
    ]
    return sorted(points, key=lambda p: (-capacity(p.student, full), p.quantise))


def capacity(student: Student, full: Shape) -> float:
    """Return the student's share of the reference's encoder parameters (0 to 1]."""
    return encoder_of(student, full).encoder_parameters / full.encoder_parameters


def relative_cost(point: Point, full: Shape) -> float:
    """Return about how much of the reference's latency a point has, from its shape alone.

    The same on every machine and in every run: it orders candidates where reproducibility counts, and settles
    ties. A quarter of a layer's time does not shrink with its width; int8 takes about 0.4 of fp32, and constant
    scales are less simple than those of each call.
    """
    student = point.student
    width = capacity(student, full) * full.layers / student.layers
    return student.layers / full.layers * (0.25 + 0.75 * width) * _PRECISIONS[point.quantise]


def _depths(layers: int) -> list[int]:
    """Return what the step `layers` says is worth searching, and the model's own depth."""
    return sorted({*(depth for depth in search_space(Layers)["count"] if depth < layers), layers}, reverse=True)


def _widths(width: int) -> list[int]:
    """Return the shares that the step `intermediate` says are worth searching, in multiples of 64, and the whole."""
    shares = search_space(Intermediate, "search_shares")["width"]
    return sorted({width, *(max(64, round(width * share / 64) * 64) for share in shares)}, reverse=True)


def _hiddens(full: Shape, asked: list[int] | None) -> list[int | None]:
    """Return hidden widths, None for the full one; those that hold no whole number of heads are refused."""
    if full.pre_norm and asked is not None and asked != [full.hidden]:
        raise InputError(f"a pre-norm encoder keeps its hidden width, {full.hidden}; leave it out", "search.hidden")
    if asked is None and full.pre_norm:
        return [None]
    size = full.hidden // full.heads
    shares = search_space(Width, "search_shares")["hidden"]
    wanted = asked or [full.hidden, *(int(full.hidden * share) for share in shares)]
    if asked is not None and (odd := [value for value in asked if value % size]):
        raise InputError(f"{odd[0]} is no multiple of {size}, the size of a head", "search.hidden")
    values = _checked("search.hidden", sorted({max(size, value // size * size) for value in wanted}), full.hidden)
    return [None if value == full.hidden else value for value in values or []]


def _checked(key: str, values: list[int] | None, most: int) -> list[int] | None:
    for value in values or []:
        if value > most:
            raise InputError(f"{value} is not between 1 and the model's {most}", key)
    return sorted(set(values), reverse=True) if values else None

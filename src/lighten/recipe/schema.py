"""The recipe: every key, its type, its default and what it means.

Unknown keys are refused. The JSON Schema for editors is made from this file (`lighten schema`).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from lighten.recipe import task as tasks
from lighten.recipe.generate import Generate
from lighten.recipe.section import Section, text_keys
from lighten.recipe.train import Train

LongWay = Literal["truncate", "head-tail", "sentences", "textrank", "chunk", "chunk-max", "hierarchical", "window"]
StepSpec = str | dict[str, Any]
AtLeastOne = Annotated[int, Field(ge=1)]
ClassFloor = Annotated[float, Field(ge=-100, le=100)]
ClassFloors = Annotated[dict[str, ClassFloor], Field(min_length=1), BeforeValidator(text_keys)]
_PASSWORD = re.compile(r"//[^/@]*:[^/@]+@|[?&]password=", re.IGNORECASE)
DEFAULT_EPOCHS = 3.0
"""Of a training without a clock."""


class Data(Section):
    """Where the examples are and which columns hold what."""

    train: str | list[str]
    """Source of the training rows: a path, a glob, a URL or ``pypi://...``; several are read one after the other."""
    text: str
    """Name of the column with the text."""
    label: str | None = None
    """Name of the column with the label (required for classification, for nothing else)."""
    multi_label: bool = False
    """Whether a text may have several labels, or none: a list column, or a text of labels with a separator."""
    label_separator: str = Field(default="|", min_length=1)
    """Between the labels of a text, where `multi_label` is true and the column holds no lists."""
    summary: str | None = None
    """Name of the column with the summary (required for summarization, for nothing else)."""
    test: str | list[str] | None = None
    """Source of test rows; without it a sealed test part is split off the training rows."""
    validation: str | list[str] | None = None
    """Source of validation rows; without it they are split off the training rows."""
    group: str | None = None
    """Name of a column (author, film, patient) whose values never cross the splits."""
    labels: list[str] | None = None
    """The labels there may be, in order; found from the data when not given."""
    unlabelled: str | list[str] | None = None
    """Source of more text without labels, for distillation."""
    unlabelled_rows: int | None = Field(default=None, ge=1)
    """At most so many of the unlabelled texts, drawn so that they are like the training texts; all when left out."""
    on_bad_row: Literal["error", "reject"] = "error"
    """Whether a row that cannot be read (too few fields, no UTF-8) ends the work or goes to ``rejected.jsonl``."""
    executor: Literal["local", "ray"] = "local"
    """Where rows are worked on: processes of this machine, or a Ray cluster that sees the same disk."""
    prepare: list[StepSpec] | Literal["auto"] = "auto"
    """Steps on the table, in order; ``auto`` is clean, then deduplicate."""
    validation_share: float = Field(default=0.15, gt=0, lt=0.5)
    """Share of the training rows held out for choosing, where no validation source is given."""
    test_share: float = Field(default=0.15, gt=0, lt=0.5)
    """Share of the rows sealed for the final test, where no test source is given."""


class Target(Section):
    """The conditions under which the model will run; latency is measured like this."""

    threads: int = Field(default=2, ge=1, le=256)
    """Threads that one prediction may use."""
    batch: int = Field(default=1, ge=1, le=4096)
    """Texts per call."""
    tokens: int = Field(default=32, ge=3, le=65536)
    """Tokens per text, special tokens included."""


class Budget(Section):
    """The hard limits; one that is left out does not bind."""

    latency_ms: float | None = Field(default=None, gt=0)
    """Of one call at the target's batch and tokens, in milliseconds: its p95, or what `latency_percentile` says."""
    latency_percentile: Literal["p95", "p50", "mean"] = "p95"
    """What `latency_ms` limits, and what is minimised: 95 of 100 calls are this fast, half of them, or the mean."""
    size_mb: float | None = Field(default=None, gt=0)
    """Files that serving the model needs (graph, tokenizer, configuration), in millions of bytes."""
    peak_memory_mb: float | None = Field(default=None, gt=0)
    """Peak resident memory of a fresh process that loads the model and predicts, in millions of bytes."""
    throughput_per_s: float | None = Field(default=None, gt=0)
    """Texts per second at batch 32 and the target's tokens: at least this many."""
    quality: float | None = Field(default=None, ge=-100, le=100)
    """Below zero: points under the reference at most; zero and above: an absolute floor in points."""
    quality_per_class: ClassFloor | ClassFloors | None = None
    """Floors under the recall of classes: a number for every class, or numbers by label. Below zero: points under the
    reference's recall of that class at most; zero and above: absolute points."""
    build_minutes: float = Field(default=30.0, gt=0)
    """Wall-clock minutes the build may take; a training too, but only where it is given."""


class Search(Section):
    """Narrows the space; everything left out is chosen automatically."""

    candidates: int | None = Field(default=None, ge=1)
    """Train exactly this many candidates by epochs instead of by the clock (reproducible)."""
    rungs: list[Literal["linear", "frozen", "student", "cascade"]] | None = Field(default=None, min_length=1)
    """Which kinds of model to consider."""
    layers: list[AtLeastOne] | None = Field(default=None, min_length=1)
    """Depths of the students to consider."""
    intermediate: list[AtLeastOne] | None = Field(default=None, min_length=1)
    """Widths of the students' feed-forward layers to consider."""
    hidden: list[AtLeastOne] | None = Field(default=None, min_length=1)
    """Hidden widths of the students to consider, heads with them; the model's own, two thirds, a half and a third of
    it, when left out."""
    vocabulary: list[int | Literal["used", "full"]] | None = Field(default=None, min_length=1)
    """Sizes of the vocabulary to consider: a number of pieces, ``used`` (those in the training text) or ``full``."""
    quantise: list[Literal["int8", "int8-static", "none"]] | None = Field(default=None, min_length=1)
    """Precisions to consider; ``int8`` and ``none`` (fp32) when left out. ``int8-static`` has constant scales of
    activations, found on training texts."""
    ngrams: bool = True
    """Whether a linear model over words and pairs of words stands beside every student (the step ``ngrams``)."""
    copies: Annotated[int, Field(ge=0)] | None = None
    """Perturbed copies of each training text that the teacher answers and students learn from besides; as many as
    there is time for, three at most, and none with ``candidates``, when left out."""
    threads: list[AtLeastOne] | None = Field(default=None, min_length=1)
    """Numbers of threads to serve the chosen model with to consider, the target's among them; the target's, half of
    it, a quarter and so on when left out. Fewer are taken where they are clearly quicker and throughput is not asked
    for."""
    long: list[LongWay] | None = Field(default=None, min_length=1)
    """Ways to treat texts over the model's limit to consider; all that keep one sequence per text when left out.
    ``window`` reads them whole, up to 4,096 tokens: the model is extended by attention within a window first."""
    executor: Literal["local", "ray"] = "local"
    """Where students are trained with ``--workers``: processes of this machine, or a Ray cluster that sees the run
    folder."""
    storage: str | None = None
    """Where Optuna keeps the study: a URL such as ``postgresql://user@host/name``; a file of the run when left out.
    A password belongs into ``PGPASSWORD`` or ``~/.pgpass``: the recipe is copied into the run and its report."""
    epochs: float | None = Field(default=None, gt=0)
    """Epochs per student where `candidates` is given."""
    reference_epochs: float | None = Field(default=None, gt=0)
    """Epochs of the reference where `candidates` is given."""

    @field_validator("storage")
    @classmethod
    def _no_password(cls, storage: str | None) -> str | None:
        if storage is not None and _PASSWORD.search(storage):
            raise ValueError("search.storage: expected a URL without password; put it into PGPASSWORD or ~/.pgpass")
        return storage


class Recipe(Section):
    """A task, data, a model and a budget: what to build or to train."""

    task: Literal["text-classification", "language-modeling", "summarization"]
    """What the model is for. ``lighten build`` knows the first one, ``lighten train`` all."""
    data: Data
    model: str
    """Source of the model to start from: a transformers folder, ``hf://owner/name`` or ``pypi://...``."""
    name: str | None = None
    """Name of the run; the recipe file's name when left out."""
    target: Target = Target()
    budget: Budget = Budget()
    minimise: Literal["latency_ms", "size_mb", "peak_memory_mb"] | None = None
    """What to make as small as the quality floor allows (default: latency_ms)."""
    maximise: Literal["quality", "throughput_per_s"] | None = None
    """What to make as large as the limits allow."""
    steps: list[StepSpec] | Literal["auto"] = "auto"
    """``auto``, or a list of steps: the one plan to carry out."""
    search: Search = Search()
    train: Train = Train()
    generate: Generate = Generate()
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        for problem in tasks.problems(self.task, self.data, self.train):
            raise ValueError(problem)
        if self.task != tasks.CLASSIFICATION and self.budget.quality_per_class is not None:
            raise ValueError(f"budget.quality_per_class: the task {self.task} has no classes")
        if self.data.multi_label and self.budget.quality_per_class is not None:
            raise ValueError("budget.quality_per_class: only where a text has one label, not with data.multi_label")
        if self.task != tasks.SUMMARY and self.generate != Generate():
            raise ValueError(f"generate: only for the task {tasks.SUMMARY}; got it for {self.task}")
        for problem in tasks.problems_of_generate(self.train, self.generate):
            raise ValueError(problem)
        counts, threads = self.search.threads, self.target.threads
        if counts is not None and max(counts, default=0) != threads:
            raise ValueError(
                f"search.threads: the largest must be target.threads, {threads}; got {counts}; to serve with fewer in "
                "any case set target.threads"
            )
        if self.minimise and self.maximise:
            raise ValueError(f"minimise and maximise exclude each other; got {self.minimise!r} and {self.maximise!r}")
        return self

    @property
    def objective(self) -> str:
        """The quantity to optimise, ``latency_ms`` unless the recipe says otherwise."""
        return self.maximise or self.minimise or "latency_ms"

    @property
    def clock_seconds(self) -> float | None:
        """Seconds a training may take; None where the recipe does not give ``budget.build_minutes``."""
        return 60 * self.budget.build_minutes if "build_minutes" in self.budget.model_fields_set else None

    @property
    def train_epochs(self) -> float | None:
        """Passes over the data at most; None trains until the clock ends."""
        if self.train.epochs is None and self.clock_seconds is None:
            return DEFAULT_EPOCHS
        return self.train.epochs

    def resolved(self) -> dict[str, Any]:
        """Return every key with its value, JSON-ready; it reads as the same recipe, with the same clock."""
        content = self.model_dump(mode="json")
        if self.clock_seconds is None:
            del content["budget"]["build_minutes"]
        return content

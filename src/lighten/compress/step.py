"""The family of model steps and what they are given besides the checkpoint."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from lighten.compress.perturb import perturbed
from lighten.errors import InputError
from lighten.models.extension import limit_in
from lighten.models.long_texts import Long, fit_texts
from lighten.models.tokens import Ids, encode, encode_whole, read_tokenizer, special_ends
from lighten.pipeline import Step, step_in_short
from lighten.pipeline.examples import Examples
from lighten.progress import Progress
from lighten.train.loop import Training
from lighten.train.precision import Precision


@dataclass
class Context:
    """What a model step may use.

    Attributes:
        labels: names of the classes.
        train: the training examples.
        validation: the examples to choose on.
        max_tokens: texts are cut to this many tokens, and to what a model takes.
        seed: of everything random.
        teacher: folder written by `lighten.compress.teacher`, or None.
        seconds: wall-clock the step may take; None for as long as its own fields say.
        checkpoints: folder for the state of a step in flight.
        precision: number format of matrix products where a step leaves it to ``auto``; None probes this machine.
        name: what to call the work on screen.
        tick: called often during long work.
        around: entered around the training of a step: how weights become zero meanwhile (`sparsify`).
        unlabelled: texts without labels (theirs are ignored), for steps that learn from a teacher.
        copies: perturbed copies of each training text that the teacher answers besides, see `perturb`.
        teacher_model: the teacher's checkpoint, where a step may run it itself; None where its cached answers must do.
        long: what becomes of longer texts; with ``chunk`` the examples are chunks already.
    """

    labels: list[str]
    train: Examples
    validation: Examples
    max_tokens: int
    seed: int
    teacher: Path | None = None
    seconds: float | None = None
    checkpoints: Path | None = None
    precision: Precision | None = None
    name: str = "training"
    progress: Progress = field(default_factory=Progress)
    tick: Callable[[], None] = lambda: None
    around: Callable[[Training], AbstractContextManager[None]] | None = None
    unlabelled: Examples | None = None
    teacher_model: Path | None = None
    long: Long = field(default_factory=Long)
    copies: int = 0

    @cached_property
    def perturbed(self) -> list[str]:
        """The copies."""
        return perturbed(self.train.texts, self.copies, self.seed)

    def precision_for(self, requested: str) -> Precision | str:
        """Return what a step's own field asks for, or the build's choice where it says ``auto``."""
        return self.precision if requested == "auto" and self.precision is not None else requested

    def encode(self, folder: Path, texts: list[str]) -> list[Ids]:
        """Tokenise with the tokenizer of a checkpoint, cut to what it takes: others in a plan may take more.

        Long texts are fitted as they will be in serving.
        """
        tokenizer, limit = read_tokenizer(folder), limit_in(folder, self.max_tokens)
        if self.long.strategy in ("truncate", "chunk"):
            return encode(tokenizer, texts, limit)
        whole, ends = encode_whole(tokenizer, texts), special_ends(tokenizer)
        return fit_texts(whole, limit, self.long, *ends, texts, tokenizer).encoded


class ModelStep(Step):
    """A transformation of a checkpoint folder; the one method is `apply`."""

    family: ClassVar[str] = "model"
    trains: ClassVar[bool] = False
    """Whether it trains weights, so that its length is a matter of the clock."""
    taught: ClassVar[bool] = False
    """Whether it learns from the teacher's answers, `Context.teacher`."""
    last: ClassVar[bool] = False
    """Whether no other step may follow it."""
    followed_by: ClassVar[tuple[str, ...] | None] = None
    """Names of the steps that alone may follow one that leaves no encoder or what fits no other one; None: any."""

    def layers_needed(self) -> int:
        """Return how many layers the model must have at least; known before anything is read."""
        return 1

    def check_model(self, config: Mapping[str, Any], where: str) -> None:
        """Refuse a model that the step cannot take; asked before any work, and again by the steps that can refuse.

        Args:
            config: of the model.
            where: to name in the error.

        Raises:
            InputError: it cannot.
        """

    def longest(self) -> int:
        """Return how many tokens the model takes afterwards; 0 for as many as before."""
        return 0

    @abstractmethod
    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Read the checkpoint in `source`, write one to the existing folder `target`, return metrics (JSON-ready)."""


def check_following(steps: Sequence[ModelStep], where: str) -> None:
    """Refuse a plan in which a step comes after one that it may not follow.

    Raises:
        InputError: naming both.
    """
    for index, step in enumerate(steps):
        said, rest = step_in_short(step), steps[index + 1 :]
        if step.last and rest:
            raise InputError(f"{said!r} must be the last step, but {step_in_short(rest[0])!r} comes after it", where)
        after = next((s for s in rest if step.followed_by is not None and s.name not in step.followed_by), None)
        if after is not None:
            only = " or ".join(step.followed_by or ())
            raise InputError(f"only {only} may follow {said!r}, not {step_in_short(after)!r}", where)

"""What of a compression depends on the task: one class per task says it, everything else asks the class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from lighten.compress.step import ModelStep
from lighten.pipeline import Artifact
from lighten.workshop.work import Work


class Kind(ABC):
    """A task with its work at hand."""

    task: ClassVar[str]
    """As the recipe says it."""

    def __init__(self, work: Work) -> None:
        self.work = work

    @abstractmethod
    def check(self, steps: Sequence[ModelStep]) -> None:
        """Refuse steps that are for another task.

        Raises:
            InputError: naming the first of them, and what the task has in its place.
        """

    @abstractmethod
    def untaught(self) -> str | None:
        """Return why the given model must be trained for the task first; None where it can do it already."""

    @abstractmethod
    def learning(self) -> ModelStep:
        """Return the step that trains the given model for the task."""

    @abstractmethod
    def layers(self) -> int:
        """Return how many layers the given model has."""

    @abstractmethod
    def given(self) -> Artifact:
        """Return the given model as a checkpoint of the workspace."""

    @abstractmethod
    def teach(self, reference: Artifact, steps: Sequence[ModelStep]) -> Artifact:
        """Return the reference's answers to what the steps of the plan learn from, computed once."""

    @abstractmethod
    def export(self, checkpoint: Artifact, plan: list[dict[str, Any]]) -> Artifact:
        """Return the folder to deploy, with its self-test."""

    @abstractmethod
    def judge(self, model: Artifact, reference: Artifact) -> dict[str, Any]:
        """Return the ``quality`` of an exported model on validation, beside the exported reference."""

    @abstractmethod
    def told(self, quality: Mapping[str, Any]) -> str:
        """Return in a few words what `judge` found."""

    @abstractmethod
    def costs(self, folders: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
        """Return speed, size and memory of exported models as result.json has them, timed side by side."""

    @abstractmethod
    def prove(self, chosen: Path, reference: Path, also: Mapping[str, Path]) -> dict[str, Any]:
        """Read the sealed test, once, and return what `lighten.measure.evidence.gather` does."""

    @abstractmethod
    def outcome(self, proof: Mapping[str, Any]) -> str:
        """Return what the proof says of the last model, without a stop."""

    @abstractmethod
    def small(self, scratch: Path, layers: int) -> Kind:
        """Return the same task with a copy of the model that keeps `layers` layers, and a few examples."""

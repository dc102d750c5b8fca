"""Trains and exports students of the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lighten.compress.linear import no_words
from lighten.compress.step import ModelStep
from lighten.compress.steps import Distil, Ngrams, Quantise
from lighten.errors import LightenError
from lighten.models.pieces import choose_pieces, write_trimmed
from lighten.pipeline import Artifact, Workspace, step_from_spec, step_to_dict
from lighten.search.candidate import Candidate
from lighten.search.run import Run
from lighten.search.students.space import Student, capacity
from lighten.workshop.answers import chance_of_class_floors, quality_on_validation


def trimmed_tokenizer(run: Run, vocabulary: Any) -> tuple[Path, int]:
    """Return the folder of the tokenizer a vocabulary asks for, and its number of pieces."""
    if vocabulary == "full":
        return run.model, run.full.vocabulary

    def work(target: Path) -> dict[str, Any]:
        kept = choose_pieces(run.model, run.context("vocabulary").encode(run.model, run.train.texts), vocabulary)
        write_trimmed(run.model, target, kept)
        return {"pieces": len(kept)}

    step = {"vocabulary": vocabulary, "max_tokens": run.max_tokens}
    artifact = run.workspace.produce("tokenizer", step, [run.model_key, run.table], work)
    return artifact.path, int(artifact.metrics["pieces"])


@dataclass(frozen=True)
class Start:
    """Where the training of a student begins.

    Attributes:
        checkpoint: what it is cut out of, or trained on from.
        steps: that led there from the reference.
        cut: steps still to be done before the training.
    """

    checkpoint: Artifact
    steps: tuple[ModelStep, ...] = ()
    cut: tuple[ModelStep, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as the journal and the workers read it back: the checkpoint by its key."""
        steps, cut = ([step_to_dict(step) for step in some] for some in (self.steps, self.cut))
        return {"checkpoint": self.checkpoint.key, "steps": steps, "cut": cut}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], workspace: Workspace) -> Start:
        """Return what `to_dict` wrote.

        Raises:
            LightenError: the checkpoint is not in the workspace.
        """
        return cls(there(workspace, fields["checkpoint"]), _steps(fields["steps"]), _steps(fields["cut"]))


def there(workspace: Workspace, key: str) -> Artifact:
    """Return an artifact that must be in the workspace.

    Raises:
        LightenError: it is not.
    """
    found = workspace.find(key)
    if found is None:
        raise LightenError(f"{workspace.root} holds no artifact {key}: does this machine see the run folder?")
    return found


def _steps(specs: Sequence[dict[str, Any]]) -> tuple[ModelStep, ...]:
    steps = (step_from_spec("model", spec, "steps") for spec in specs)
    return tuple(step for step in steps if isinstance(step, ModelStep))


def train_student(
    run: Run, student: Student, start: Start, teacher: Artifact | None, distil: Distil, seconds: float | None
) -> tuple[Artifact, list[ModelStep]]:
    """Cut a student out and distil it; returns its checkpoint and the steps that made it.

    A student as large as the reference needs no distillation: it is the reference with another vocabulary.
    """
    steps: list[ModelStep] = [*start.steps, *start.cut]
    artifact = start.checkpoint
    name = student.name(run.full)
    for step in start.cut:
        artifact = run.apply(step, artifact, name=name)
    if capacity(student, run.full) < 1:
        steps.append(distil)
        artifact = run.apply(distil, artifact, name=name, teacher=teacher, seconds=seconds)
    return artifact, steps


def buckets_of(run: Run, pieces: int) -> int:
    """Return how many buckets the n-gram part of a student with so many pieces has; 0 where students have none."""
    if not run.recipe.search.ngrams:
        return 0
    step = Ngrams()

    def work(target: Path) -> dict[str, Any]:
        context, full = run.context("n-grams"), run.full.vocabulary
        encoded = context.encode(run.model, context.train.texts)
        # What is trimmed needs no row: pieces are numbered anew there, and as many more pairs have room.
        roomy = step.model_copy(update={"numbers": step.numbers + (full - pieces) * (len(run.labels) + 1)})
        space = roomy.space(encoded, full, no_words(run.model), len(run.labels))
        return {"buckets": len(space.keys)}

    key = {**step_to_dict(step), "max_tokens": run.max_tokens, "pieces": pieces, "long": run.serving.to_dict()["long"]}
    return int(run.workspace.produce("n-grams", key, [run.model_key, run.table], work).metrics["buckets"])


def export(
    run: Run, checkpoint: Artifact, steps: list[ModelStep], quantise: str, *, ngrams: bool = False
) -> tuple[Artifact, list[dict[str, Any]]]:
    """Export a checkpoint in a precision; returns the model folder and the whole plan as dicts.

    Args:
        run: the build.
        checkpoint: what to export.
        steps: that made it.
        quantise: as in `Point`.
        ngrams: fit an n-gram part beside it.
    """
    if ngrams:
        steps = [*steps, Ngrams()]
        checkpoint = run.apply(steps[-1], checkpoint, name="n-grams")
    if quantise != "none":
        steps = [*steps, Quantise(format=quantise)]  # type: ignore[arg-type]
        checkpoint = run.apply(steps[-1], checkpoint, name=quantise)
    plan = [step_to_dict(step) for step in steps]
    return run.bundle(checkpoint, plan), plan


def judge(run: Run, candidate: Candidate, predicted: list[int], reference: list[int]) -> None:
    """Fill in a candidate's quality on validation and the chance that it holds the floor."""
    candidate.metrics["quality"], compared = quality_on_validation(run, predicted, reference)
    candidate.answers = list(predicted)
    floor = run.recipe.budget.quality
    held = 1.0 if floor is None else compared.probability_at_least(floor)
    candidate.chance = min(held, chance_of_class_floors(run, predicted, reference))

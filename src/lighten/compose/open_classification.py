"""Opens the compression of a classifier: data, labels in the order of the head, lengths, precision."""

from __future__ import annotations

from pathlib import Path

from lighten.compose.classification import Classification
from lighten.compose.head import check_not_quantised, labels_of_model
from lighten.compose.identity import Identity
from lighten.errors import InputError
from lighten.models.checkpoint import check_model
from lighten.models.layout import names_of, shape_of
from lighten.models.long_texts import read_limit, read_note
from lighten.models.tokens import fitting_length, lengths, read_tokenizer
from lighten.pipeline import Clock, Journal, Workspace, digest, read_json
from lighten.pipeline.examples import read_examples
from lighten.progress import Progress
from lighten.recipe import Recipe
from lighten.train.precision import Precision, choose
from lighten.workshop.limits import check_class_floors
from lighten.workshop.opening import prepare_table
from lighten.workshop.work import Work


def open_classification(
    recipe: Recipe, out: Path, base: Path | None, progress: Progress, identity: Identity
) -> Classification:
    """Check the model, prepare the data; returns the task ready to work.

    Raises:
        InputError: anything wrong with data or model.
    """
    model = identity.model
    config = check_model(model)
    names_of(config, str(model / "config.json"))
    check_not_quantised(model, config)
    workspace, journal = Workspace(out / "work"), Journal(out / "journal.jsonl")
    table = prepare_table(recipe, workspace, base, progress, identity.data)
    labels: list[str] = read_json(table.path / "labels.json")
    known = labels_of_model(model, config)
    if known is not None and known != labels and sorted(known) == sorted(labels):
        # The same labels in the order of the model's head.
        ordered = recipe.data.model_copy(update={"labels": known})
        table = prepare_table(recipe.model_copy(update={"data": ordered}), workspace, base, progress, identity.data)
        labels = known
    check_class_floors(recipe.budget, table.metrics["splits"]["test"]["by_label"])
    train, validation = (read_examples(table.path / f"{part}.jsonl") for part in ("train", "validation"))
    shape = shape_of(config, len(labels))
    longest = max(shape.positions, *(step.longest() for step in identity.steps))
    max_tokens = fitting_length(int(lengths(read_tokenizer(model), train.texts).max()), longest)
    if (learned := read_limit(model)) is not None and not any(step.longest() for step in identity.steps):
        max_tokens = min(max_tokens, learned)
    most = min(max_tokens, shape.positions)  # models before an extension are timed too
    if recipe.target.tokens > most:
        raise InputError(f"at most {most} for this model; got {recipe.target.tokens}", "target.tokens")
    precision = journal.decide(
        "precision of training",
        digest([identity.data, identity.model_key]),
        lambda: vars(choose("auto", shape.hidden)),
    )
    return Classification(
        Work(
            recipe=recipe,
            out=out,
            workspace=workspace,
            journal=journal,
            clock=Clock(recipe.clock_seconds, out / "work" / f"clock-{identity.whole}.json"),
            progress=progress,
            scope=identity.whole,
            model=model,
            model_key=identity.model_key,
            config=config,
            table=table,
            labels=labels,
            train=train,
            validation=validation,
            max_tokens=max_tokens,
            precision=Precision(**precision),
            long=read_note(model),
        )
    )

"""``lighten train RECIPE``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lighten.cli.guard import Debug, Json, guarded

if TYPE_CHECKING:
    from lighten.recipe import Recipe

AGAIN = "interrupted; run the same command to go on from the last checkpoint"


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")],
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="The run folder; else runs/<name>.")] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. train.epochs=2.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes that train together; else train.parallel.processes.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget the checkpoints, begin again.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train the recipe's model on its data; leaves an ordinary transformers checkpoint.

    Checkpoints are kept in the run folder: the same command goes on after an interruption.
    """
    with guarded(debug, interrupted=AGAIN):
        from lighten.recipe import read_recipe

        overrides = [*(set or []), *([f"train.parallel.processes={processes}"] if processes else [])]
        known = read_recipe(recipe, overrides)
        wanted = known.train.parallel.processes or 1
        # Under torchrun the processes are there already.
        if wanted > 1 and "WORLD_SIZE" not in os.environ:
            folder, content = _together(recipe, known, out, overrides, restart, debug)
        else:
            folder, content = _alone(recipe, out, overrides, restart)
        if json:
            import json as format_json

            typer.echo(format_json.dumps(content, ensure_ascii=False))
        else:
            from lighten.cli.train_summary import summary

            typer.echo(summary(folder, content))


def _alone(recipe: Path, out: Path | None, overrides: list[str], restart: bool) -> tuple[Path, dict[str, Any]]:
    """Train in this process."""
    from lighten import api
    from lighten.cli.progress import RichProgress

    with RichProgress() as progress:
        result = api.train(recipe, out, set=overrides, restart=restart, progress=progress)
    return result.folder, result.to_dict()


def _together(
    recipe: Path, known: Recipe, out: Path | None, overrides: list[str], restart: bool, debug: bool
) -> tuple[Path, dict[str, Any]]:
    """Start processes that train together and wait for them; one that dies is started again."""
    from lighten.pipeline.training_result import read_training
    from lighten.train.parallel.launch import launch

    parallel = known.train.parallel
    folder = out if out is not None else Path("runs") / (known.name or "training")
    arguments = [str(recipe), "--out", str(folder)]
    for text in overrides:
        arguments += ["--set", text]
    arguments += [option for option, wanted in (("--restart", restart), ("--debug", debug)) if wanted]
    status = launch(arguments, parallel.processes or 1, max_restarts=parallel.max_restarts)
    if status:  # the processes have said why
        raise typer.Exit(status)
    return folder, dict(read_training(folder))

"""``lighten plan RECIPE``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lighten.cli.guard import Debug, Json, guarded


def plan(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")],
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. train.gradient_checkpointing=true."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Predict the peak memory and the time of a training, without training."""
    with guarded(debug):
        from lighten import api
        from lighten.cli.progress import RichProgress

        with RichProgress() as progress:
            found = api.plan(recipe, set=set or (), progress=progress)
        if json:
            import json as format_json

            typer.echo(format_json.dumps(found, ensure_ascii=False))
        else:
            from lighten.cli.train_summary import plan_summary

            typer.echo(plan_summary(found))

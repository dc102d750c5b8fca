"""``lighten plan RECIPE``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lighten.cli.guard import Debug, Json, guarded

UNREACHABLE = 3


class Verb(StrEnum):
    """What is planned."""

    BUILD = "build"
    TRAIN = "train"


def plan(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")],
    what: Annotated[
        Verb | None,
        typer.Option("--for", help="Plan a build or a training; else limits or `search` in the recipe mean a build."),
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. budget.latency_ms=2."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Predict a build (is the budget reachable, and if not, why) or a training (memory, time), without training."""
    with guarded(debug):
        from lighten import api
        from lighten.cli.progress import RichProgress

        with RichProgress() as progress:
            found = api.plan(recipe, set=set or (), what=None if what is None else what.value, progress=progress)
        if json:
            import json as format_json

            typer.echo(format_json.dumps(found, ensure_ascii=False))
        elif found.get("kind") == "build-plan":
            from lighten.cli.plan_summary import summary

            typer.echo(summary(found))
        else:
            from lighten.cli.train_summary import plan_summary

            typer.echo(plan_summary(found))
        if found.get("reachable") is False:
            raise typer.Exit(UNREACHABLE)

"""``lighten build RECIPE``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lighten.cli.guard import Debug, Json, guarded

INFEASIBLE = 3


def build(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")],
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="The run folder; else runs/<name>.")] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. budget.latency_ms=2.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Students trained at the same time, each in its own process.")
    ] = 1,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Build the best model that fits the recipe's budget.

    Everything finished is kept in the run folder: the same command goes on after an interruption. Ctrl-C once stops
    exploring and proves and delivers the best model so far; twice, or before the reference is measured, ends at once.
    """
    with guarded(debug, interrupted="interrupted; run the same command to go on"):
        from lighten.api import build as run
        from lighten.cli.progress import RichProgress

        with RichProgress() as progress:
            result = run(recipe, out, set=set or (), workers=workers, progress=progress, interruptible=True)
        if json:
            import json as format_json

            typer.echo(format_json.dumps(result.to_dict(), ensure_ascii=False))
        else:
            from lighten.cli.summary import summary

            typer.echo(summary(result))
        if not result.fits:
            raise typer.Exit(INFEASIBLE)

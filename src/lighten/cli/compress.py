"""``lighten compress MODEL --with STEPS --data SOURCE``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lighten.cli.build import INFEASIBLE
from lighten.cli.guard import Debug, Json, guarded


def compress(
    model: Annotated[
        str, typer.Argument(metavar="MODEL|RECIPE", help="A model's folder or source, or a recipe with steps (.yaml).")
    ],
    steps: Annotated[
        str | None, typer.Option("--with", metavar="STEPS", help="The plan, e.g. layers=3,vocabulary,distil,int8.")
    ] = None,
    data: Annotated[str | None, typer.Option(metavar="SOURCE", help="The training rows, e.g. reviews.csv.")] = None,
    text: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of the text; else text.")] = None,
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of the label; else label.")] = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="N", help="Wall-clock for everything; the steps that train share it.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Train distilled students without a teacher too, and compare.")
    ] = False,
    no_dry_run: Annotated[
        bool, typer.Option("--no-dry-run", help="Do not try the plan on a small copy of the model first.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="The run folder; else runs/<name>.")] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. target.threads=4.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Carry out the steps on a model and measure it after each; leaves a folder to deploy.

    Everything finished is kept in the run folder: the same command goes on after an interruption.
    """
    with guarded(debug, interrupted="interrupted; run the same command to go on"):
        from lighten.api import compress as run
        from lighten.cli.progress import RichProgress

        with RichProgress() as progress:
            result = run(
                model,
                steps,
                data,
                text=text,
                label=label,
                minutes=minutes,
                full=full,
                dry_run=not no_dry_run,
                out=out,
                set=set or (),
                progress=progress,
            )
        if json:
            import json as format_json

            typer.echo(format_json.dumps(result.to_dict(), ensure_ascii=False))
        else:
            from lighten.cli.compress_summary import summary

            typer.echo(summary(result))
        if not result.fits:
            raise typer.Exit(INFEASIBLE)

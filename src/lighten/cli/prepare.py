"""``lighten prepare RECIPE``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lighten.cli.guard import Debug, Json, guarded


class Format(StrEnum):
    """How splits are written."""

    jsonl = "jsonl"
    parquet = "parquet"
    csv = "csv"


def prepare(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")],
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="The run folder; else runs/<name>.")] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. data.prepare=[clean].")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that work on rows; the outcome is the same.")] = 1,
    format: Annotated[Format, typer.Option(help="Of the splits.")] = Format.jsonl,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Carry out the recipe's data section alone: splits, what every step changed, and every row that was left out.

    Everything finished is kept in the run folder: the same command goes on after an interruption.
    """
    with guarded(debug, interrupted="interrupted; run the same command to go on"):
        from lighten import api
        from lighten.cli.progress import RichProgress

        with RichProgress() as progress:
            result = api.prepare(recipe, out, set=set or (), workers=workers, format=format.value, progress=progress)
        if json:
            import json as format_json

            typer.echo(format_json.dumps(result.to_dict(), ensure_ascii=False))
        else:
            from lighten.cli.prepare_summary import summary

            typer.echo(summary(result.folder, result.to_dict()))

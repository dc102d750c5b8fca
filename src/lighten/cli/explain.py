"""``lighten explain RUN``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lighten.cli.guard import Debug, Json, guarded


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or the result.json in it.")],
    examples: Annotated[
        int, typer.Option(metavar="N", min=0, help="Texts to show of each class that was fixed, and that was broken.")
    ] = 5,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say why a build chose its model: what came close, what bound, what each step bought, which answers changed.

    Everything is read from the run folder; nothing is trained or predicted anew.
    """
    with guarded(debug):
        from lighten import api

        found = api.explain(run, examples=examples)
        if json:
            import json as format_json

            typer.echo(format_json.dumps(found, ensure_ascii=False))
        else:
            from lighten.cli.explain_summary import summary

            typer.echo(summary(found))

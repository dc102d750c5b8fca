"""``lighten report RUN``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lighten.cli.guard import Debug, guarded


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or the result.json in it.")],
    debug: Debug = False,
) -> None:
    """Write report.html of a run again, from its result.json, and a build's model card; prints where."""
    with guarded(debug):
        from lighten.report import write

        typer.echo(write(run))

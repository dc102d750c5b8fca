"""``lighten audit DATA``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lighten.cli.guard import Debug, Json, guarded


def audit(
    data: Annotated[str, typer.Argument(metavar="DATA", help="The rows: a table, or any source of one.")],
    text: Annotated[str, typer.Option(metavar="COLUMN", help="Column of the text.")] = "text",
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the label; without it labels are left out.")
    ] = None,
    validation: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="A validation set: leaks into it are looked for.")
    ] = None,
    test: Annotated[str | None, typer.Option(metavar="SOURCE", help="A test set, likewise.")] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="An encoder: counts its tokens, finds label errors in its embeddings."),
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0.2, max=1.0, help="Similarity of texts that count as nearly equal.")
    ] = 0.6,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
    out: Annotated[Path | None, typer.Option(metavar="PAGE", help="Write an HTML page, e.g. audit.html.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Look at labelled texts: labels, duplicates, leaks, lengths, odd texts, suspected label errors.

    Nothing is changed.
    """
    with guarded(debug):
        from lighten.cli.progress import RichProgress
        from lighten.data import audit as work

        with RichProgress() as progress:
            document = work(
                data,
                text,
                label,
                validation=validation,
                test=test,
                model=model,
                threshold=threshold,
                seed=seed,
                progress=progress,
            )
        if out is not None:
            from lighten.report import write_audit

            write_audit(document, out)
        if json:
            import json as format_json

            typer.echo(format_json.dumps(document, ensure_ascii=False))
        else:
            from lighten.cli.audit_summary import summary

            typer.echo(summary(document, out))

"""``lighten extend MODEL``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lighten.cli.guard import Debug, Json, guarded


def extend(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's folder or source.")],
    tokens: Annotated[int, typer.Option(metavar="N", help="Longest text, special tokens included.")] = 4096,
    window: Annotated[
        int | None,
        typer.Option(metavar="N", help="Tokens seen on each side; else 128, or what the model has already."),
    ] = None,
    globals: Annotated[
        int | None,
        typer.Option(metavar="N", help="First tokens that see all and are seen by all; else 1 (ModernBERT: none)."),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(metavar="LLG", help="L local, G full attention, repeated over the depth; else all local."),
    ] = None,
    dilation: Annotated[
        int | None, typer.Option(metavar="N", help="A window takes every Nth token, and reaches N times as far.")
    ] = None,
    random_blocks: Annotated[
        int | None, typer.Option(metavar="N", help="Random blocks of keys that a block of queries sees besides.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Else runs/<model>-<tokens>.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Let a model take longer texts: positions are tiled, attention gets a window. Trains nothing."""
    with guarded(debug):
        from lighten.api import extend as work
        from lighten.cli.progress import RichProgress

        with RichProgress() as progress:
            facts = work(
                model,
                tokens,
                window=window,
                globals=globals,
                layers=layers,
                dilation=dilation,
                random_blocks=random_blocks,
                out=out,
                progress=progress,
            )
        if json:
            import json as format_json

            typer.echo(format_json.dumps(facts, ensure_ascii=False))
        else:
            typer.echo(_summary(facts))


def _summary(facts: dict[str, object]) -> str:
    more = [f"every {facts['dilation']} tokens"] if "dilation" in facts else []
    more += [f"{facts['random_blocks']} random blocks besides"] if "random_blocks" in facts else []
    lines = [
        f"{facts['model']}: {facts['tokens']} tokens, {facts['before']} before",
        f"a token sees {facts['window']} on each side and the first {facts['globals']}; layers {facts['layers']} "
        "(L local, G full attention)" + "".join(f"; {what}" for what in more),
    ]
    if facts.get("converted"):
        lines.append(f"it was a {facts['converted']}, and is a roberta now")
    if facts.get("note"):
        lines.append(f"note: {facts['note']}")
    return "\n".join(lines)

"""``lighten compare-attention``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lighten.cli.guard import Debug, Json, guarded


def compare_attention(
    model: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="A BERT-type model; else the shape of 6 layers of 384 with 12 heads."),
    ] = None,
    tokens: Annotated[str, typer.Option(metavar="N,N,...", help="The lengths.")] = "512,1024,2048,4096,8192,16384",
    kinds: Annotated[
        str, typer.Option(metavar="KIND,...", help="Attentions; further ones are plain and identity.")
    ] = "full,window,dilated,block-sparse,longformer",
    window: Annotated[int, typer.Option(metavar="N", help="Tokens that a token sees on each side.")] = 64,
    what: Annotated[str, typer.Option(metavar="WORK,...", help="forward, training or both.")] = "forward,training",
    minutes: Annotated[float, typer.Option(metavar="N", help="Wall-clock for everything.")] = 15.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often each point is measured, if time allows.")] = 3,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; else as many as there are cores.")] = None,
    seed: Annotated[int, typer.Option(help="Of weights, texts and orders.")] = 0,
    data: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Texts to judge agreement on; else random tokens.")
    ] = None,
    text: Annotated[str, typer.Option(metavar="COLUMN", help="The column of the text.")] = "text",
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the points as a table.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write attention.html, .svg, .json and .csv.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure time, memory and quality of full, windowed, dilated, block-sparse and Longformer attention by length.

    Quality is agreement with full attention before any training, with the weights of --model. Each point is measured
    in a process of its own; what would not fit into memory or time is left out, and said.
    """
    with guarded(debug):
        from lighten.cli.compare_summary import names, numbers
        from lighten.cli.progress import RichProgress
        from lighten.workshop.compare_attention.compare import compare_attention as work

        asked = numbers(tokens, "--tokens"), names(kinds), names(what)
        with RichProgress() as progress:
            document = work(
                model,
                asked[0],
                kinds=asked[1],
                window=window,
                what=asked[2],
                minutes=minutes,
                rounds=rounds,
                threads=threads,
                seed=seed,
                data=data,
                text=text,
                progress=progress,
            )
        from lighten.cli.compare_summary import summary, write

        page = write(document, csv, out)
        if json:
            import json as format_json

            typer.echo(format_json.dumps(document, ensure_ascii=False))
        else:
            typer.echo(summary(document, page))

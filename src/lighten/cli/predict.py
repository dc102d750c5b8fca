"""``lighten predict FOLDER TEXT...``: the model, no torch."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lighten.cli.guard import Debug, Json, guarded
from lighten.errors import InputError

if TYPE_CHECKING:
    from lighten.runtime import TextClassifier

CHUNK = 512  # texts held at a time where the output can be streamed


def predict(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model folder, e.g. runs/reviews/model.")],
    text: Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="The texts; else standard input.")] = None,
    input: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file: one text per line, or .jsonl, .csv, .tsv.")
    ] = None,
    column: Annotated[str, typer.Option(help="Column or key of the text in a .jsonl, .csv or .tsv file.")] = "text",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; else what the model was built for.")] = None,
    new_tokens: Annotated[int, typer.Option(min=1, help="Of a language model: tokens to write at most.")] = 128,
    temperature: Annotated[float, typer.Option(min=0, help="Of a language model: 0 writes what is likeliest.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of a language model with a temperature.")] = 0,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Predict texts: label, score and text per line, tab-separated; --json prints a list.

    With --json a cascade says of each text which of its two models answered. A language model continues each
    text; a summariser writes a summary per line.
    """
    with guarded(debug):
        texts = _texts(text or [], input, column)
        from lighten.runtime import load, read_folder
        from lighten.runtime.folder import LANGUAGE, SUMMARIES

        described = read_folder(folder)
        if described.task == LANGUAGE:
            from lighten.cli.continuations import write_on

            write_on(described, texts, threads, new_tokens, temperature, seed, json)
            return
        if described.task == SUMMARIES:
            from lighten.cli.summaries import write_summaries

            write_summaries(described, texts, threads, json)
            return
        model = load(folder, threads=threads)
        if json:
            import json as format_json

            typer.echo(format_json.dumps(list(_predictions(model, texts)), ensure_ascii=False))
            return
        cut = 0
        for item in _predictions(model, texts):
            typer.echo(f"{item['label']}\t{item['score']:.4f}\t{' '.join(item['text'].split())}")
            cut += item["truncated"]
        if cut:
            typer.echo(f"note: {cut} texts were longer than the model reads and were cut", err=True)


def _texts(given: list[str], file: Path | None, column: str) -> Iterable[str]:
    if given and file:
        raise InputError(f"give texts or --input, not both; got {len(given)} texts and {str(file)!r}")
    if given:
        return given
    if file:
        from lighten.cli.texts import read_texts

        return read_texts(file, column)
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("nothing to predict; give texts, --input FILE or pipe one text per line")
    from lighten.cli.texts import lines

    return lines(sys.stdin.buffer, "standard input")


def _predictions(model: TextClassifier, texts: Iterable[str]) -> Iterator[dict[str, Any]]:
    stream = iter(texts)
    while chunk := list(islice(stream, CHUNK)):
        for text, found in zip(chunk, model.predict(chunk), strict=True):
            yield {"text": text, **vars(found)}

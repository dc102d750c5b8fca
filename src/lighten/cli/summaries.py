"""What ``lighten predict`` prints where the model writes summaries: one line per text."""

from __future__ import annotations

import json
from collections.abc import Iterable

import typer

from lighten.runtime import ModelFolder, load_summarizer


def write_summaries(folder: ModelFolder, texts: Iterable[str], threads: int | None, as_json: bool) -> None:
    """Summarise texts, each as soon as it is written; with `as_json` one list of all of them."""
    model = load_summarizer(folder, threads=threads)
    if as_json:
        found = [{"text": text, "summary": model.summarize(text)[0]} for text in texts]
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for text in texts:
        typer.echo(" ".join(model.summarize(text)[0].split()))

"""What ``lighten predict`` prints where the model is a language model: each text's continuation."""

from __future__ import annotations

import json
from collections.abc import Iterable

import typer

from lighten.runtime import Generator, ModelFolder


def write_on(
    folder: ModelFolder,
    texts: Iterable[str],
    threads: int | None,
    new_tokens: int,
    temperature: float,
    seed: int,
    as_json: bool,
) -> None:
    """Continue texts: as they come, a line end after each; with `as_json` one list of all of them."""
    model = Generator(folder, threads=threads)
    if as_json:
        found = []
        for text in texts:
            made = model.generate(text, new_tokens, temperature=temperature, seed=seed)
            names = {"text": "generated"}
            found.append({"text": text, **{names.get(key, key): value for key, value in vars(made).items()}})
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    for text in texts:
        for piece in model.stream(text, new_tokens, temperature=temperature, seed=seed):
            typer.echo(piece, nl=False)
        typer.echo()

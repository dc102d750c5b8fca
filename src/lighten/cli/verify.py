"""``lighten verify FOLDER``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lighten.cli.guard import Debug, guarded
from lighten.errors import InputError


def verify(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A model folder.")],
    debug: Debug = False,
) -> None:
    """Check a model folder: every file's checksum, then its self-test on this machine."""
    with guarded(debug):
        from lighten.runtime import load, load_generator, load_summarizer, read_folder
        from lighten.runtime.folder import LANGUAGE, SUMMARIES

        loaders = {LANGUAGE: load_generator, SUMMARIES: load_summarizer}
        model: Any = loaders.get(read_folder(folder).task, load)(folder)
        model.verify()
        differences = model.self_test()
        if differences:
            raise InputError("; ".join(differences), str(folder))
        files, texts = len(model.folder.files), len(model.folder.self_test)
        typer.echo(f"{folder}: {files} files as they were made, {texts} self-test texts as expected")

"""Turns what goes wrong in a verb into one line on stderr and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from lighten.errors import LightenError

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON document on stdout.")]

INTERRUPTED = 130


@contextmanager
def guarded(debug: bool = False, interrupted: str = "interrupted") -> Iterator[None]:
    """Run a verb's work.

    Args:
        debug: whether to let tracebacks through to stderr.
        interrupted: what to say when the user stops it.
    """
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        _say(interrupted)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # The reader of our output (`| head`) has left. Nothing may be flushed to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except LightenError as error:
        _trace(debug)
        _say(f"error: {error}")
        raise typer.Exit(error.exit_code) from None
    except Exception as error:
        _trace(debug)
        hint = "" if debug else " (--debug shows where)"
        _say(f"internal error: {type(error).__name__}: {' '.join(str(error).split()) or 'no message'}{hint}")
        raise typer.Exit(1) from None


def _trace(debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()


def _say(text: str) -> None:
    typer.echo(text, err=True)

"""What each process of a training runs: ``torchrun --nproc-per-node 2 -m lighten.train recipe.yaml``.

It is ``lighten train`` for one process: the command line's frame (exit codes, errors in one line) without starting
others.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module

os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # torch reads it when it is first imported

from lighten.errors import LightenError
from lighten.progress import Progress, Stage

INTERRUPTED = 130
LINE_SECONDS = 15.0
"""Shortest time between two lines of one stage."""


class Lines(Progress):
    """Plain lines on stderr: several processes share a terminal, so nothing is drawn over."""

    def __init__(self) -> None:
        self._shown: dict[str, float] = {}

    def begin(self, stage: Stage) -> None:
        """Say what starts."""
        self._shown[stage.name] = stage.started
        _say(f"{stage.name} ...")

    def show(self, stage: Stage) -> None:
        """Say how far it is, from time to time."""
        import time

        now = time.monotonic()
        if now - self._shown.get(stage.name, 0.0) < LINE_SECONDS:
            return
        self._shown[stage.name] = now
        share = f" {stage.done / stage.total:.0%}" if stage.total else ""
        facts = ", ".join(f"{name} {value}" for name, value in stage.facts.items())
        _say(f"{stage.name}{share} {facts}".rstrip())

    def note(self, text: str) -> None:
        """Say one line."""
        _say(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one process's part of a training; returns the exit code."""
    options = _parser().parse_args(arguments)
    first = os.environ.get("RANK", "0") == "0"
    try:
        # By name: this module is an entry point, above all rooms although it lies in one.
        train = import_module("lighten.api").train
        result = train(
            options.recipe,
            options.out,
            set=options.set,
            # A process that elastic has started again goes on from where it was.
            restart=options.restart and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0",
            progress=Lines() if first else Progress(),
        )
    except KeyboardInterrupt:
        _say("interrupted; the same command goes on from the newest checkpoint", first)
        return INTERRUPTED
    except LightenError as error:
        _trace(options.debug)
        _say(f"error: {error}", first)
        return error.exit_code
    except Exception as error:
        _trace(options.debug)
        where = f"process {os.environ.get('RANK')}: " if "RANK" in os.environ else ""
        _say(f"{where}internal error: {type(error).__name__}: {' '.join(str(error).split()) or 'no message'}")
        return 1
    if first and options.json:
        sys.stdout.write(json.dumps(result.to_dict()) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lighten.train", description="Train what a recipe describes.")
    parser.add_argument("recipe", help="the recipe file")
    parser.add_argument("--out", help="folder of the run")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the recipe")
    parser.add_argument("--restart", action="store_true", help="start anew instead of going on")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON document on stdout")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _trace(debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()


def _say(text: str, first: bool = True) -> None:
    if first:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

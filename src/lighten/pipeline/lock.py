"""One piece of work at a time in a run folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lighten.errors import InputError


@contextmanager
def locked(out: Path, what: str) -> Iterator[None]:
    """Hold a run folder for this process; a folder that did not exist vanishes again when the input is bad.

    It stays where something was trained before that was found.

    Args:
        out: the folder; made if missing.
        what: the work (``build``, ``training``), for the message.

    Raises:
        InputError: another process works there, or it is no folder, or none can be made.
    """
    import fcntl

    if out.exists() and not out.is_dir():
        raise InputError("the output must be a folder; this is a file", str(out))
    fresh = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        held = (out / ".lock").open("w")
    except OSError as error:
        raise InputError(f"the output folder cannot be made: {error.strerror}", str(out)) from None
    with held as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"another {what} is running in this folder; wait for it or choose --out", str(out)
            ) from None
        stream.write(json.dumps({"pid": os.getpid()}))
        stream.flush()
        try:
            yield
        except InputError:
            if fresh and not _holds_training(out):
                shutil.rmtree(out, ignore_errors=True)
            raise


def _holds_training(out: Path) -> bool:
    """Whether something was trained there, at least in part: minutes are not thrown away for a mistake found late."""
    work = out / "work"
    if any((work / "checkpoints").glob("*/*")) or any(work.glob("checkpoints-*/*")):
        return True
    return any(_kind_of(manifest) == "checkpoint" for manifest in work.glob("artifacts/*/manifest.json"))


def _kind_of(manifest: Path) -> str:
    try:
        return str(json.loads(manifest.read_text(encoding="utf-8"))["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""

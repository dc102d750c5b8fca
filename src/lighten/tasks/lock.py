"""One training at a time in a run folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lighten.errors import InputError
from lighten.tasks.parallel import Processes


@contextmanager
def locked(out: Path, group: Processes) -> Iterator[None]:
    """Hold the run folder for the processes that train together (the first of them holds the file).

    A folder that did not exist vanishes again when the input is bad.

    Raises:
        InputError: another process works there, or it is no folder, or none can be made.
    """
    if group.rank:
        yield
        return
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
                "another training is running in this folder; wait for it or choose --out", str(out)
            ) from None
        stream.write(json.dumps({"pid": os.getpid()}))
        stream.flush()
        try:
            yield
        except InputError:
            if fresh:
                shutil.rmtree(out, ignore_errors=True)
            raise

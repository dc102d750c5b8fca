"""How large chunks are, and how many processes files of a size keep busy; imports nothing, to be asked early."""

from __future__ import annotations

ROWS = 20_000
"""Rows of a chunk at most."""
SIZE = 4 << 20
"""Bytes of a chunk of text, about; one row is never cut."""


def busy(size: int, workers: int, chunk: int = SIZE) -> int:
    """Return how many processes have something to do.

    Args:
        size: bytes of all files.
        workers: processes allowed.
        chunk: bytes of a chunk.
    """
    return min(workers, size // chunk + 1)

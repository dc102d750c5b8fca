"""Size of what serving a model needs."""

from __future__ import annotations

from pathlib import Path

from lighten.runtime.folder import read_folder


def size_mb(folder: str | Path) -> float:
    """Return millions of bytes of the serving files and ``lighten.json``, as they lie on the disk."""
    return sum(file.stat().st_size for file in read_folder(folder).serving_files()) / 1e6

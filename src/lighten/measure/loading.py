"""Opens model folders for measuring: each with the threads it is served with at a target."""

from __future__ import annotations

from pathlib import Path

from lighten.runtime.cascade import Cascade
from lighten.runtime.classifier import Classifier, load
from lighten.runtime.folder import read_folder


def threads_at(path: str | Path, threads: int) -> int:
    """Return how many of the target's threads a model is served with: fewer where its folder says so."""
    most = read_folder(path).at_most
    return threads if most is None else min(threads, most)


def load_at(path: str | Path, threads: int) -> Classifier | Cascade:
    """Open a model folder as the target serves it; spinning off, for live sessions spin on each other's cores."""
    return load(path, threads=threads_at(path, threads), spinning=False)

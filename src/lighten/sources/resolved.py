"""What a source turns into: local files with a fingerprint of their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Resolved:
    """A source that is now on this machine.

    Args:
        source: what the user wrote.
        paths: the local files in a fixed order, or exactly one folder.
        fingerprint: stands for the content; equal content gives an equal fingerprint.
    """

    source: str
    paths: tuple[Path, ...]
    fingerprint: str


def fingerprint_of(paths: Iterable[Path]) -> str:
    """Return a hash over the contents of files; for folders and for several files also over their names.

    A single file's name does not count, so a renamed copy has the same fingerprint.
    """
    paths = list(paths)
    if len(paths) == 1 and paths[0].is_file():
        return "sha256:" + _hash_file(paths[0])
    total = hashlib.sha256()
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            name = file.relative_to(path).as_posix() if path.is_dir() else file.name
            total.update(f"{len(name.encode())}:{name}:{_hash_file(file)}\n".encode())
    return "sha256:" + total.hexdigest()


def _hash_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

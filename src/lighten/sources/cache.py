"""The cache of fetched sources: a folder appears under its key only when it is complete."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lighten.errors import SourceError
from lighten.sources.resolved import Resolved

_NOTE = "source.json"
_CONTENT = "content"
_STALE = 24 * 3600.0


def cache_root() -> Path:
    """Return the folder of the cache: ``$LIGHTEN_CACHE``, or ``~/.cache/lighten``; sources lie in ``sources/``."""
    given = os.environ.get("LIGHTEN_CACHE")
    return (Path(given).expanduser() if given else Path.home() / ".cache" / "lighten").absolute() / "sources"


def _folder(key: str) -> Path:
    return cache_root() / hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


def find(key: str) -> tuple[Resolved, dict[str, Any]] | None:
    """Return the cached source with that key and the facts stored with it, or None.

    An entry whose files were removed by hand does not count.
    """
    folder = _folder(key)
    try:
        note = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
        names, source, fingerprint, facts = note["paths"], note["source"], note["fingerprint"], note["facts"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    paths = tuple(folder / _CONTENT / name for name in names)  # an absolute name (a hub snapshot) stands for itself
    if not paths or not all(path.exists() for path in paths):
        return None
    return Resolved(source, paths, fingerprint), facts


class Filling:
    """A cache entry being made: write into `content`, then name what was written with `finish`."""

    def __init__(self, folder: Path, source: str) -> None:
        self.folder, self.source = folder, source
        self.content = folder / _CONTENT
        self.content.mkdir()
        self.done = False

    def finish(self, names: list[str], fingerprint: str, **facts: Any) -> None:
        """Say which names under `content` (or absolute paths outside) are the source, and its fingerprint."""
        note = {"source": self.source, "paths": names, "fingerprint": fingerprint, "facts": facts}
        with (self.folder / _NOTE).open("w", encoding="utf-8") as stream:
            json.dump(note, stream, indent=2)
            stream.flush()
            os.fsync(stream.fileno())
        self.done = True


@contextmanager
def filling(key: str, source: str, replace: bool = False) -> Iterator[Filling]:
    """Yield a new entry that is put in place when the block succeeds and vanishes when it fails.

    Two processes may fill the same key at once: the first one to finish wins and both read its files,
    which are the same. With `replace` (a remote file that changed) an older entry makes way.
    """
    target = _folder(key)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".new."))
    except OSError as error:
        raise SourceError(
            f"the cache cannot be written: {error}; set LIGHTEN_CACHE to another folder", source
        ) from None
    try:
        new = Filling(temporary, source)
        yield new
        if not new.done:
            raise RuntimeError("a cache entry was not finished")
        _put(temporary, target, replace or find(key) is None)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sweep(root: Path) -> None:
    """Remove what killed processes left half-made; a day is longer than any download in flight."""
    for left in [*root.glob(".new.*"), *root.glob(".old.*")]:
        try:
            if time.time() - left.stat().st_mtime > _STALE:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue  # another process removed it first


def _put(temporary: Path, target: Path, replace: bool) -> None:
    for _ in range(10):
        try:
            temporary.rename(target)
            return
        except OSError:  # a folder is there already: ours replaces it or is thrown away
            if not replace:
                return
            old = Path(tempfile.mkdtemp(dir=target.parent, prefix=".old."))
            try:
                target.rename(old / "entry")
            except OSError:
                pass  # another process moved it first
            finally:
                shutil.rmtree(old, ignore_errors=True)
    raise SourceError(f"the cache folder {target} cannot be replaced")

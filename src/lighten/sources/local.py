"""Sources on this machine: a file, a folder, or a glob."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from lighten.errors import SourceError, nearest
from lighten.sources.resolved import Resolved, fingerprint_of


def from_local(source: str, base: Path | None = None) -> Resolved:
    """Resolve a path or glob.

    Args:
        source: ``~`` is expanded; a file whose name really holds ``*`` or ``[`` is taken before the glob.
        base: where a relative path is looked for first (the recipe's folder); then the working directory.

    Raises:
        SourceError: nothing is there; names the nearest thing that is.
    """
    written = os.path.expanduser(source.removeprefix("file://"))
    if not written.strip():
        raise SourceError("an empty text is no source; expected a path, a glob or a URL", repr(source))
    bases = [base, Path.cwd()] if base is not None and not os.path.isabs(written) else [Path.cwd()]
    for folder in bases:
        path = folder / written
        if path.exists():
            return Resolved(source, (path,), fingerprint_of([path]))
    if glob.has_magic(written):
        for folder in bases:
            found = sorted(glob.glob(written, root_dir=folder, recursive=True))
            files = tuple(folder / name for name in found if (folder / name).is_file())
            if files:
                return Resolved(source, files, fingerprint_of(files))
        raise SourceError(f"no file matches this pattern{_hint(bases[0] / written)}", source)
    raise SourceError(f"there is no such file or folder{_hint(bases[0] / written)}", source)


def _hint(path: Path) -> str:
    """Name the nearest entry in the deepest folder that exists."""
    missing, folder = path.name, path.parent
    while not folder.is_dir():
        if folder == folder.parent:
            return ""
        missing, folder = folder.name, folder.parent
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        return f" ({folder} cannot be read: {error.strerror})"
    return nearest(missing, names) or f" (looked in {folder})"

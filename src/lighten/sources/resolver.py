"""One entry for every place a source is accepted: looks at the form and hands over to the kind."""

from __future__ import annotations

import re
from pathlib import Path

from lighten.errors import SourceError
from lighten.progress import Progress
from lighten.sources.local import from_local
from lighten.sources.resolved import Resolved

_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://")  # two letters at least: C:// is a drive
_ARCHIVES = ("zip", "tar")


def resolve(source: str, *, base: Path | None = None, progress: Progress | None = None) -> Resolved:
    """Bring a source onto this machine.

    Args:
        source: a local path or glob; ``pypi://PACKAGE==VERSION/path/inside``; ``hf://owner/name``;
            any fsspec URL (``https://``, ``s3://``); a chain such as ``zip://a/b.csv::x.whl``.
        base: folder that relative paths are looked for in first; then the working directory.
        progress: told about downloads and unpacking.

    Returns:
        Local files in a fixed order, or one folder, and a fingerprint of the content. What was fetched is kept
        under ``$LIGHTEN_CACHE`` (default ``~/.cache/lighten``).

    Raises:
        SourceError: nothing there, not reachable, unsafe or too large.
    """
    progress = progress or Progress()
    first, chained, rest = source.partition("::")
    form = _SCHEME.match(first)
    scheme = form["scheme"].lower() if form else ""
    if chained and scheme in _ARCHIVES:
        from lighten.sources.archive import from_archive

        outer = resolve(rest, base=base, progress=progress)
        return from_archive(source, scheme, first[len(scheme) + 3 :], outer, progress)
    if scheme == "pypi":
        from lighten.sources.wheel import from_wheel

        return from_wheel(source, progress)
    if scheme == "hf":
        from lighten.sources.hub import from_hub

        return from_hub(source, progress)
    if scheme in ("", "file") and not chained:
        return from_local(source, base)
    if scheme in _ARCHIVES:
        raise SourceError(f"name the archive after '::', e.g. {scheme}://path/inside::archive.{scheme}", source)
    from lighten.sources.remote import from_remote

    return from_remote(source, progress)

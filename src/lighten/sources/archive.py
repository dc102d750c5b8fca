"""Taking members out of zip and tar archives (wheels are zips) without trusting what they say about themselves."""

from __future__ import annotations

import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from lighten.errors import SourceError, nearest
from lighten.progress import Progress
from lighten.sources import cache
from lighten.sources.limits import MAX_MEMBERS, Meter
from lighten.sources.resolved import Resolved, fingerprint_of

_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
)


def from_archive(source: str, kind: str, inside: str, outer: Resolved, progress: Progress) -> Resolved:
    """Resolve ``zip://inside::outer`` or ``tar://inside::outer``; cached by the archive's content.

    Args:
        source: what the user wrote.
        kind: ``"zip"`` or ``"tar"``.
        inside: a member, a folder, a glob over members, or empty for everything.
        outer: the archive, already on this machine.
        progress: told how many bytes are unpacked.
    """
    if len(outer.paths) != 1 or not outer.paths[0].is_file():
        raise SourceError(f"{outer.source!r} is not one archive file", source)
    key = f"archive {kind} {inside} {outer.fingerprint}"
    found = cache.find(key)
    if found is None:
        with cache.filling(key, source) as new:
            names = extract(outer.paths[0], kind, inside, new.content, source, progress)
            new.finish(names, fingerprint_of(new.content / name for name in names))
        found = cache.find(key)
        if found is None:
            raise SourceError("the cache entry vanished while it was read; run again", source)
    return Resolved(source, found[0].paths, found[0].fingerprint)


def extract(archive: Path, kind: str, inside: str, folder: Path, source: str, progress: Progress) -> list[str]:
    """Unpack what `inside` names into `folder` and return the names made there (files, or one folder).

    Raises:
        SourceError: no such member (the nearest is named), an unsafe name, a link, an encrypted or damaged
            member, or more bytes than the limits allow.
    """
    inside = inside.strip("/")
    with progress.stage(f"unpack {archive.name}") as stage:
        meter = Meter(source, archive.stat().st_size, lambda done: stage.update(done))
        try:
            if kind == "zip":
                return _from_zip(archive, inside, folder, source, meter)
            return _from_tar(archive, inside, folder, source, meter)
        except SourceError:
            raise
        except _DAMAGE as error:
            raise SourceError(f"{archive.name} cannot be unpacked: {error}", source) from None


def _from_zip(archive: Path, inside: str, folder: Path, source: str, meter: Meter) -> list[str]:
    with zipfile.ZipFile(archive) as opened:
        entries = {info.filename: info for info in opened.infolist() if not info.is_dir()}
        chosen = _select(entries, inside, source)
        for name, target in chosen.items():
            info = entries[name]
            mode = info.external_attr >> 16
            if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise SourceError(f"the member {name!r} is a link or device, which is refused", source)
            if info.flag_bits & 1:
                raise SourceError(f"the member {name!r} is encrypted", source)
            _write(lambda info=info: opened.open(info), folder, target, meter)  # type: ignore[misc]
    return _made(chosen, inside)


def _from_tar(archive: Path, inside: str, folder: Path, source: str, meter: Meter) -> list[str]:
    with tarfile.open(archive, "r:*") as opened:
        entries: dict[str, tarfile.TarInfo] = {}
        for info in opened:
            # Finding the next header unpacks what lies before it, so skipped members count as well.
            meter.check(info.offset_data + info.size)
            if not info.isdir():
                entries[info.name.removeprefix("./")] = info
        chosen = _select(entries, inside, source)
        for name, target in chosen.items():
            info = entries[name]
            if not info.isreg():
                raise SourceError(f"the member {name!r} is a link or device, which is refused", source)
            _write(lambda info=info: opened.extractfile(info), folder, target, meter)  # type: ignore[misc]
    return _made(chosen, inside)


def _write(reader: Callable[[], IO[bytes] | None], folder: Path, target: str, meter: Meter) -> None:
    path = folder / target
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = reader()
    if stream is None:
        raise SourceError(f"the member {target!r} has no content", meter.source)
    with stream, path.open("xb") as writer:  # x: names that collide on this file system are an error
        meter.copy(stream, writer)  # type: ignore[arg-type]


def _select(names: Iterable[str], inside: str, source: str) -> dict[str, str]:
    """Map each member asked for to its place under the content folder."""
    names = list(names)
    if inside in names:
        chosen = {inside: PurePosixPath(inside).name}
    elif inside and any(char in inside for char in "*?["):
        chosen = {name: name for name in names if fnmatchcase(name, inside)}
    else:
        above = len(str(PurePosixPath(inside).parent)) + 1 if "/" in inside else 0
        chosen = {name: name[above:] for name in names if not inside or name.startswith(inside + "/")}
    for name in chosen:
        _check_name(name, source)
    if not chosen:
        folders = {str(parent) for name in names for parent in PurePosixPath(name).parents if str(parent) != "."}
        raise SourceError(f"nothing in it is called {inside!r}{nearest(inside, sorted({*names, *folders}))}", source)
    if len(chosen) > MAX_MEMBERS:
        raise SourceError(f"{len(chosen):,} files are asked for; at most {MAX_MEMBERS:,} are unpacked", source)
    return chosen


def _check_name(name: str, source: str) -> None:
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or re.match(r"[A-Za-z]:", name):
        raise SourceError(f"the member name {name!r} leads outside the archive; refused as unsafe", source)


def _made(chosen: dict[str, str], inside: str) -> list[str]:
    if inside in chosen or any(char in inside for char in "*?["):
        return sorted(chosen.values())
    return [PurePosixPath(inside).name] if inside else ["."]

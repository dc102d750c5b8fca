"""Remote files: ``http(s)://`` with the standard library, every other URL (``s3://`` ...) through fsspec.

A file is copied once and kept. Before a kept copy is used again the server is asked whether the file
changed; when it cannot be reached, the kept copy is used and said so.
"""

from __future__ import annotations

import base64
import http.client
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, BinaryIO

from lighten.errors import SourceError
from lighten.progress import Progress
from lighten.sources import cache
from lighten.sources.limits import Meter
from lighten.sources.resolved import Resolved, fingerprint_of

TIMEOUT = 20.0
"""Seconds without a byte after which a server counts as unreachable."""
_UNREACHABLE = (OSError, http.client.HTTPException)  # URLError and time-outs are OSErrors


def from_remote(source: str, progress: Progress) -> Resolved:
    """Copy a remote file into the cache, or find it there.

    Raises:
        SourceError: not reachable, not there, or larger than the limit.
    """
    key = f"remote {source}"
    found = cache.find(key)
    version = found[1].get("version") if found else None
    fetch = _fetch_http if source.lower().startswith(("http://", "https://")) and "::" not in source else _fetch_fsspec
    try:
        with cache.filling(key, shown(source), replace=True) as new:
            name = file_name(source)
            with progress.stage(f"download {name}") as stage, (new.content / name).open("wb") as writer:
                meter = Meter(shown(source), show=lambda done: stage.update(done))
                version = fetch(source, version, writer, meter, stage)
            new.finish([name], fingerprint_of([new.content / name]), version=version)
    except _Unchanged:
        pass
    except _Unreachable as error:
        if found is None:
            raise SourceError(
                f"cannot be reached: {error}; a local path or pypi:// works offline", shown(source)
            ) from None
        progress.note(f"{shown(source)} cannot be reached; using the copy of an earlier run")
    found = cache.find(key)
    if found is None:
        raise SourceError("the cache entry vanished while it was read; run again", shown(source))
    return Resolved(source, found[0].paths, found[0].fingerprint)


class _Unchanged(Exception):
    """The kept copy is still what the server has."""


class _Unreachable(Exception):
    """No answer from the server."""


def shown(source: str) -> str:
    """Return the URL without user name, password and query, which may hold secrets."""
    return re.sub(r"\?[^:]*", "", re.sub(r"://[^/@]*@", "://", source))


def file_name(source: str) -> str:
    """Return the last part of the URL's path as a safe file name; its ending tells the format."""
    try:
        path = urllib.parse.unquote(urllib.parse.urlsplit(source.partition("::")[0]).path)
    except ValueError as error:
        raise SourceError(f"not a valid URL: {error}", shown(source)) from None
    name = re.sub(r"[^\w.+-]", "_", path.rstrip("/").rpartition("/")[2]).lstrip(".")
    return name[-120:] or "download"


def _fetch_http(source: str, version: Any, writer: BinaryIO, meter: Meter, stage: Any) -> Any:
    """Write the body; return the validators to ask with next time."""
    request = _request(source, version if isinstance(version, dict) else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            size = int(answer.headers.get("Content-Length") or 0)
            meter.check(size)
            stage.update(0, size or None)
            meter.copy(answer, writer)
            if size and meter.bytes != size:
                raise _Unreachable(f"the connection ended after {meter.bytes:,} of {size:,} bytes")
            return {"etag": answer.headers.get("ETag"), "modified": answer.headers.get("Last-Modified")}
    except urllib.error.HTTPError as error:
        if error.code == 304:
            raise _Unchanged from None
        if error.code >= 500:
            raise _Unreachable(f"the server answered {error.code} {error.reason}") from None
        raise SourceError(f"the server answered {error.code} {error.reason}", meter.source) from None
    except ValueError as error:
        raise SourceError(f"not a valid URL: {error}", meter.source) from None
    except _UNREACHABLE as error:
        raise _Unreachable(str(getattr(error, "reason", None) or error or type(error).__name__)) from None


def _request(source: str, version: dict[str, str]) -> urllib.request.Request:
    parts = urllib.parse.urlsplit(source)
    if not parts.hostname:
        raise SourceError("this URL names no host", shown(source))
    account, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(urllib.parse.urlunsplit(parts._replace(netloc=host, fragment="")))
    if account:
        secret = base64.b64encode(urllib.parse.unquote(account).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {secret}")  # another host must not see it
    request.add_header("User-Agent", "lighten")
    if version.get("etag"):
        request.add_header("If-None-Match", version["etag"])
    if version.get("modified"):
        request.add_header("If-Modified-Since", version["modified"])
    return request


def _fetch_fsspec(source: str, version: Any, writer: BinaryIO, meter: Meter, stage: Any) -> Any:
    """Write the file; return fsspec's own mark of its version."""
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(source)
        try:
            mark = str(system.ukey(path))
        except (NotImplementedError, KeyError, TypeError, AttributeError):
            mark = None  # this file system cannot tell versions apart: copy again
        if mark is not None and mark == version:
            raise _Unchanged
        with system.open(path, "rb") as reader:
            size = getattr(reader, "size", None)
            if isinstance(size, int):
                meter.check(size)
                stage.update(0, size)
            meter.copy(reader, writer)
        return mark
    except ImportError as error:
        raise SourceError(f"fsspec needs another package for this: {error}", meter.source) from None
    except (ValueError, FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise SourceError(f"cannot be read: {error or type(error).__name__}", meter.source) from None
    except (_Unchanged, SourceError):
        raise
    except Exception as error:  # each file system raises its own kinds (botocore, google, paramiko)
        reason = str(error).splitlines()[0][:200] if str(error) else "no answer"
        raise _Unreachable(f"{type(error).__name__}: {reason}") from None

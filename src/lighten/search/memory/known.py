"""Evidence kept by content: what was measured of the same files under the same conditions is not measured again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from lighten.measure.machine import describe
from lighten.measure.memory import peak_memory_mb
from lighten.pipeline import Artifact, digest, read_json, write_json
from lighten.pipeline.artifact import MANIFEST, OUTCOMES, versions
from lighten.pipeline.files import checksum
from lighten.recipe import Recipe
from lighten.workshop.work import Work

PASSING = ("load", "packages")
"""What `machine.describe` says that does not tell one machine from another; versions are counted on their own."""


class Known:
    """Measured values in files, one per kind and key; a file that cannot be read counts as not there.

    Args:
        root: folder of the files; made when first needed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, kind: str, key: Any) -> Any:
        """Return what was kept, or None."""
        try:
            kept = read_json(self._file(kind, key))
            return kept["value"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, kind: str, key: Any, value: Any) -> None:
        """Keep a JSON-ready value, in the place of an older one."""
        write_json(self._file(kind, key), {"key": key, "value": value})

    def once(self, kind: str, key: Any, measure: Callable[[], Any]) -> Any:
        """Return what was kept, or measure it now and keep it."""
        found = self.get(kind, key)
        if found is None:
            found = measure()
            self.keep(kind, key, found)
        return found

    def _file(self, kind: str, key: Any) -> Path:
        return self.root / f"{kind}-{digest(key)}.json"


def known_of(work: Work) -> Known:
    """Return what is known in a run folder."""
    return Known(work.workspace.root / "evidence")


def content_of(folder: Path) -> str:
    """Return a digest of the names and checksums of a folder's files: the same however the model was made."""
    if (folder / MANIFEST).is_file():
        files = {name: entry["sha256"] for name, entry in read_json(folder / MANIFEST)["files"].items()}
    else:
        files = {file.relative_to(folder).as_posix(): checksum(file) for file in folder.rglob("*") if file.is_file()}
    return digest(sorted(files.items()))


@cache
def environment() -> str:
    """Return a digest of this machine and the versions in use: outcomes elsewhere say nothing about here."""
    machine = {key: value for key, value in describe().items() if key not in PASSING}
    return digest([machine, versions(), OUTCOMES])


def conditions(work: Work) -> str:
    """Return a digest of all that a measurement depends on besides the model: target, threads, machine, versions."""
    return digest([work.recipe.target.model_dump(), work.recipe.search.threads, environment()])


def sealed_test(table: Artifact) -> str:
    """Return the checksum of the sealed test, of which a table may hold a part; see `splits`."""
    whole: str | None = table.metrics.get("drawn", {}).get("sealed")
    return whole or checksum(table.path / "test.jsonl")


def wants_memory(recipe: Recipe) -> bool:
    """Whether the search has to know the peak memory of its candidates: it takes a process for each."""
    return recipe.budget.peak_memory_mb is not None or recipe.objective == "peak_memory_mb"


def wants_throughput(recipe: Recipe) -> bool:
    """Whether the search has to know the throughput of every shape: large batches take as long as all the rest."""
    return recipe.budget.throughput_per_s is not None or recipe.objective == "throughput_per_s"


def memory_of(work: Work, folder: Path) -> float:
    """Return the peak memory of a model folder at the target, in millions of bytes; measured once per content."""
    key = [content_of(folder), conditions(work)]
    target = work.recipe.target.model_dump()
    return float(known_of(work).once("memory", key, lambda: round(peak_memory_mb(folder, target), 2)))

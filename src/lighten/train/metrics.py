"""Where a training's numbers go while it runs: always a JSONL file, trackers when asked for."""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol


class Sink(Protocol):
    """Takes one record per reported step."""

    def resume(self, step: int) -> None:
        """Forget records after this step: they are about to be made again."""
        ...

    def write(self, record: dict[str, Any]) -> None:
        """Take ``{"step", "seconds", "epoch", "loss", "lr", "validation", ...}``."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


class JsonLines:
    """One JSON document per line.

    Args:
        path: of the file; what it holds from before an interruption is kept up to the step gone back to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._there: set[tuple[int, bool]] = set()

    def resume(self, step: int) -> None:
        """Keep the records up to `step`; of those at `step`, one that is made again is not written twice."""
        kept = []
        self._there.clear()
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    record = json.loads(line)
                    if record["step"] <= step:
                        kept.append(line)
                    if record["step"] == step:
                        self._there.add(_kind(record))
                except (ValueError, KeyError, TypeError):  # the line a kill tore
                    continue
        from lighten.pipeline.files import write_text

        write_text(self.path, "".join(f"{line}\n" for line in kept))

    def write(self, record: dict[str, Any]) -> None:
        """Append a record, all of it or (disk full) nothing.

        Raises:
            OSError: it cannot be written.
        """
        if _kind(record) in self._there:
            return
        size = self.path.stat().st_size if self.path.exists() else 0
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(_sound(record)) + "\n")
        except OSError:
            with suppress(OSError):
                os.truncate(self.path, size)
            raise

    def close(self) -> None:
        """Nothing to do: every record is on disk."""


def _kind(record: dict[str, Any]) -> tuple[int, bool]:
    """Return what no two records have in common: the step, and whether it is a look at the validation split."""
    return record["step"], record.get("validation") is not None


def numbers(record: dict[str, Any]) -> dict[str, float]:
    """Return what of a record can be drawn: its finite numbers."""
    return {
        name: float(value)
        for name, value in record.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }


def _sound(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with null for what JSON has no word for (an infinite loss)."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in record.items()
    }

"""The journal: one JSON object per line, appended and synced per event, so that a kill loses nothing finished."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


class Journal:
    """An append-only record of what was decided and finished.

    A last line torn by a kill is dropped on opening; any other damaged line is kept aside in
    ``<name>.damaged`` rather than lost silently.

    Args:
        path: the ``.jsonl`` file; made with its folder at the first event.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[dict[str, Any]] = []
        if path.exists():
            self._load()

    def _load(self) -> None:
        content = self.path.read_bytes()
        lines = content.split(b"\n")
        damaged = []
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            if number == len(lines) - 1:
                break  # no line end: torn, even where what is there reads as JSON, since it is cut off below
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if isinstance(entry, dict) and "event" in entry:
                self.events.append(entry)
            else:
                damaged.append(line)
        if damaged:
            self.path.with_name(self.path.name + ".damaged").write_bytes(b"\n".join(damaged) + b"\n")
        if content and not content.endswith(b"\n"):
            keep = content.rfind(b"\n") + 1
            with self.path.open("r+b") as stream:
                stream.truncate(keep)

    def write(self, event: str, **fields: Any) -> dict[str, Any]:
        """Append an event and sync it to disk; returns what was written."""
        entry = {"event": event, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **fields}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as stream:
            stream.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.events.append(entry)
        return entry

    def last(self, event: str, **match: Any) -> dict[str, Any] | None:
        """Return the newest event of that name whose fields equal `match`, or None."""
        for entry in reversed(self.events):
            if entry["event"] == event and all(entry.get(key) == value for key, value in match.items()):
                return entry
        return None

    def all(self, event: str, **match: Any) -> list[dict[str, Any]]:
        """Return every event of that name whose fields equal `match`, oldest first."""
        return [e for e in self.events if e["event"] == event and all(e.get(k) == v for k, v in match.items())]

    def decide(self, name: str, scope: str, make: Any) -> Any:
        """Return a decision taken earlier under the same name and scope, or take it now and record it.

        What depends on the clock or on a measurement is decided once: a resumed build repeats the decision.
        """
        known = self.last("decision", name=name, scope=scope)
        if known is not None:
            return known["value"]
        value = make()
        return self.write("decision", name=name, scope=scope, value=value)["value"]

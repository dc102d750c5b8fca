"""``result.json`` of a compression: what every step bought and cost, and the proof of the last model.

The shape is described in `compression.schema.json`, which ships with the package (`lighten schema compression`).
Qualities are in points (0 to 100), times in the unit of their name, sizes in millions of bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lighten.pipeline.document import read_document, read_schema, result_file

KIND = "compression"


def is_compression(path: str | Path) -> bool:
    """Whether a run folder, or the ``result.json`` in it, is that of a compression; False where there is none."""
    try:
        content = json.loads(result_file(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def read_compression(path: str | Path) -> dict[str, Any]:
    """Read the result of a compression.

    Args:
        path: a ``result.json`` or the run folder that holds one.

    Raises:
        InputError: there is none, it is no JSON object, of other work, or written by another version of Lighten.
    """
    return read_document(path, KIND, _fault)


def compression_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a compression's ``result.json``."""
    return read_schema("compression.schema.json")


def _fault(content: Any) -> str | None:
    """Say why a document is not the result of a compression; None where it is."""
    if isinstance(content, dict) and content.get("kind") == KIND:
        return None
    if isinstance(content, dict) and "verdict" in content:
        what = "of a build"
    else:
        what = f"of a {content['kind']}" if isinstance(content, dict) and "kind" in content else "not of lighten"
    return f"not the result of a compression: it is {what}"

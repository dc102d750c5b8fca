"""``result.json`` as a file: where it is, how it is read, what each way to be no result is called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lighten.errors import InputError

SCHEMA_VERSION = 1
RESULT = "result.json"


def result_file(path: str | Path) -> Path:
    """Return the ``result.json`` that a path means: itself, or the one in a run folder."""
    path = Path(path)
    return path / RESULT if path.is_dir() else path


def read_document(path: str | Path, what: str, fault: Callable[[Any], str | None]) -> dict[str, Any]:
    """Read a result of this version.

    Args:
        path: a ``result.json`` or the run folder that holds one.
        what: the work that leaves it (``build``, ``training``).
        fault: says of a JSON document why it is not the one wanted; None where it is.

    Raises:
        InputError: there is none, it is no JSON, not the one wanted, or another version of Lighten wrote it.
    """
    file = result_file(path)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"there is no result here; a run folder has one when its {what} is finished", str(file)
        ) from None
    except OSError as error:
        raise InputError(f"the result cannot be read: {error.strerror}", str(file)) from None
    except ValueError:
        raise InputError("not a JSON document", str(file)) from None
    found = fault(content)
    if found is not None:
        raise InputError(found, str(file))
    if content.get("schema") != SCHEMA_VERSION:
        version = content.get("schema")
        raise InputError(f"written in format {version!r}; this version reads {SCHEMA_VERSION}", str(file))
    return content  # type: ignore[no-any-return]


def read_schema(name: str) -> dict[str, Any]:
    """Return a JSON Schema that ships beside this file."""
    schema: dict[str, Any] = json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return schema

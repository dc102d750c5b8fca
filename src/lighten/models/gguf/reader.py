"""Reads a GGUF file: the values in its head, and its tensors as float32."""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.gguf.blocks import KINDS
from lighten.models.layout import Array

MAGIC = b"GGUF"
VERSIONS = (2, 3)
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_ALIGNMENT, _DIMENSIONS = 2**20, 4
"""The largest that are read."""


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies: its shape with rows first, ggml's number of its type, its first byte in the file."""

    shape: tuple[int, ...]
    kind: int
    start: int

    @property
    def size(self) -> int:
        """Bytes in the file; of an unknown type 0."""
        kind = KINDS.get(self.kind)
        return 0 if kind is None else math.prod(self.shape) // kind.numbers * kind.size


class GgufFile:
    """An open file; a mapping of it, so that only the tensors asked for are read.

    Args:
        path: the file.

    Raises:
        InputError: no GGUF, another version, or cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as stream:
                self._bytes: Any = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise InputError(f"the file cannot be read: {error}", str(path)) from None
        self._at = 0
        try:
            self.values, self.entries = self._head()
            # Each tensor ends inside the file; many on the same bytes would still fill the memory with floats.
            if sum(entry.size for entry in self.entries.values()) > len(self._bytes):
                raise struct.error("its tensors together are larger than the file")
        except (struct.error, UnicodeDecodeError, OverflowError, MemoryError, RecursionError) as error:
            raise InputError(f"damaged, or cut off in its head: {error}", str(path)) from None

    def tensors(self) -> Iterator[tuple[str, Array]]:
        """Yield every tensor by its name in the file, in float32."""
        for name in self.entries:
            yield name, self.tensor(name)

    def tensor(self, name: str) -> Array:
        """Return one tensor in float32.

        Raises:
            InputError: it is stored in an unknown way, or the file ends before it does.
        """
        entry = self.entries[name]
        if entry.kind not in KINDS:
            known = ", ".join(kind.name for kind in KINDS.values())
            raise InputError(f"tensor {name} is of ggml type {entry.kind}; read are {known}", str(self.path))
        kind = KINDS[entry.kind]
        if entry.shape[-1] % kind.numbers or entry.start + entry.size > len(self._bytes):
            raise InputError(f"damaged, or cut off in tensor {name}", str(self.path))
        raw = np.frombuffer(self._bytes, np.uint8, entry.size, entry.start).reshape(-1, kind.size)
        return kind.decode(raw).reshape(entry.shape)

    def _head(self) -> tuple[dict[str, Any], dict[str, Entry]]:
        if self._bytes[:4] != MAGIC:
            raise InputError("no GGUF file: it does not begin with the letters GGUF", str(self.path))
        self._at = 4
        version = self._scalar(4)
        if version not in VERSIONS:
            raise InputError(f"GGUF version {version}; read are {VERSIONS[0]} and {VERSIONS[1]}", str(self.path))
        tensors, pairs = self._scalar(10), self._scalar(10)
        if max(tensors, pairs) > len(self._bytes):
            raise struct.error("more entries than bytes")
        values = {}
        for _ in range(pairs):
            key = self._string()
            values[key] = self._value(self._scalar(4))
        places: dict[str, Entry] = {}
        for _ in range(tensors):
            name, dimensions = self._string(), self._scalar(4)
            if not 1 <= dimensions <= _DIMENSIONS:
                raise struct.error(f"tensor {name} has {dimensions} dimensions")
            shape = tuple(self._scalar(10) for _ in range(dimensions))[::-1]  # ggml counts columns first
            if 0 in shape or name in places:
                raise struct.error(f"tensor {name} is {'there twice' if name in places else 'empty'}")
            places[name] = Entry(shape, self._scalar(4), self._scalar(10))
        aligned = values.get("general.alignment", 32)
        if type(aligned) is not int or not 1 <= aligned <= _ALIGNMENT:
            raise struct.error(f"general.alignment is {aligned!r}")
        start = -(-self._at // aligned) * aligned
        return values, {name: Entry(e.shape, e.kind, start + e.start) for name, e in places.items()}

    def _scalar(self, kind: int) -> Any:
        if kind not in _SCALARS:
            raise struct.error(f"value type {kind} is unknown")
        (value,) = struct.unpack_from("<" + _SCALARS[kind], self._bytes, self._at)
        self._at += struct.calcsize("<" + _SCALARS[kind])
        return value

    def _string(self) -> str:
        length = self._scalar(10)
        if self._at + length > len(self._bytes):
            raise struct.error("a string is longer than the file")
        text = self._bytes[self._at : self._at + length].decode("utf-8", "replace")
        self._at += length
        return str(text)

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._scalar(kind)
        inner, count = self._scalar(4), self._scalar(10)
        if count > len(self._bytes):
            raise struct.error("an array is longer than the file")
        return [self._value(inner) for _ in range(count)]

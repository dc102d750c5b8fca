"""How much one source may hold, counted while it is written and never trusted from a header."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO

from lighten.errors import InputError, SourceError

MAX_RATIO = 200
"""Unpacked bytes per packed byte; text rarely passes 20, a zip bomb reaches 1000."""
RATIO_FLOOR = 64 << 20
"""Unpacked bytes below which the ratio is not looked at: small repetitive files are harmless."""
MAX_MEMBERS = 100_000
"""Files that one archive may put on the disk."""
_CHUNK = 1 << 20


def source_limit() -> int:
    """Return the bytes one source may take: ``LIGHTEN_MAX_SOURCE_BYTES``, or 4 GiB."""
    text = os.environ.get("LIGHTEN_MAX_SOURCE_BYTES", "")
    if not text:
        return 4 << 30
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise InputError(f"expected a whole number of bytes above 0; got {text!r}", "LIGHTEN_MAX_SOURCE_BYTES")
    return int(text)


class Meter:
    """Counts the bytes of one source and stops it at the limits.

    Args:
        source: what the user wrote, for the error.
        packed: bytes of the archive that is being unpacked; None where nothing is unpacked.
        show: called with the bytes so far.
    """

    def __init__(self, source: str, packed: int | None = None, show: Callable[[int], None] | None = None) -> None:
        self.source, self.packed, self.show = source, packed, show
        self.limit = source_limit()
        self.bytes = 0

    def count(self, number: int) -> None:
        """Add `number` bytes.

        Raises:
            SourceError: the limit on bytes or on the compression ratio is passed.
        """
        self.bytes += number
        self.check(self.bytes)
        if self.show is not None:
            self.show(self.bytes)

    def check(self, total: int) -> None:
        """Raise `SourceError` when `total` bytes are too many."""
        if total > self.limit:
            raise SourceError(
                f"holds more than {self.limit:,} bytes; set LIGHTEN_MAX_SOURCE_BYTES higher if that is right",
                self.source,
            )
        if self.packed is not None and total > RATIO_FLOOR and total > MAX_RATIO * self.packed:
            raise SourceError(
                f"unpacks to more than {MAX_RATIO} times its size; refused as a likely zip bomb", self.source
            )

    def copy(self, reader: BinaryIO, writer: BinaryIO) -> None:
        """Copy a stream to its end, counting."""
        while chunk := reader.read(_CHUNK):
            self.count(len(chunk))
            writer.write(chunk)

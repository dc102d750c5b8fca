"""Short strings that stand for a model's weights or for many texts: equal ones mean equal content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from lighten.models.checkpoint import weight_files
from lighten.pipeline.files import checksum
from lighten.pipeline.step import digest


def fingerprint_of_weights(folder: Path) -> str:
    """Return what stands for the weights, the configuration and the tokenizer of a checkpoint.

    Raises:
        InputError: weights that an index names are missing.
    """
    files = [*weight_files(folder), folder / "config.json", folder / "tokenizer.json"]
    return digest([checksum(file) for file in files if file.is_file()])


def fingerprint_of_texts(texts: Iterable[str]) -> str:
    """Return what stands for texts in their order."""
    found = hashlib.blake2b(digest_size=16)
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        found.update(len(content).to_bytes(8, "little"))
        found.update(content)
    return found.hexdigest()

"""How a decoder's weights may be stored in its graph, and the note beside a checkpoint that asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lighten.errors import InputError, nearest
from lighten.models.quantised.blocks import BLOCKS
from lighten.pipeline.files import write_json

QUANTISE = "quantise.json"
FORMATS = {"int8": 8, "int4": 4, "int8-weights": 8, "int4-weights": 4}
"""Bits of the layers' weights. Activations are rounded to int8 per block and token by the products themselves."""


def note_format(folder: Path, wanted: str, block: int = 32, head_bits: int = 8, whole: bool = False) -> dict[str, Any]:
    """Write ``quantise.json`` beside a decoder's checkpoint; returns its content.

    Args:
        folder: holds the checkpoint.
        wanted: a key of `FORMATS`.
        block: weights that share a scale.
        head_bits: of embeddings and head, 8 or 4: they suffer more than the layers.
        whole: zero points are whole numbers: faster by two small operators per product, and less exact. Weights that
            were in GGUF's Q4_1 are stored exactly without.

    Raises:
        InputError: a value that is not allowed.
    """
    where = "step 'quantise'"
    if wanted not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"a decoder's weights can be {known}, not {wanted!r}{nearest(wanted, FORMATS)}", where)
    if block not in BLOCKS:
        raise InputError(f"block must be one of {', '.join(map(str, BLOCKS))} but got {block}", where)
    if head_bits not in (4, 8):
        raise InputError(f"head_bits must be 4 or 8 but got {head_bits}", where)
    note = {"format": wanted, "block": block, "head_bits": head_bits, "whole": whole}
    write_json(folder / QUANTISE, note)
    return note

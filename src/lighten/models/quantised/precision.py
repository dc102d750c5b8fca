"""Which numbers a graph uses: the note ``quantise.json`` that steps leave beside a checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lighten.errors import InputError
from lighten.models.checkpoint import read_object, weight_files
from lighten.models.encoder import Dense, Encoder
from lighten.models.quantised.blocks import BLOCKS
from lighten.pipeline.files import checksum, write_json

FILE = "quantise.json"
PARTS = ("qkv", "attention_out", "up", "down")
"""Products of a layer."""
FORMATS = ("int8", "int8-static", "int8-weights", "int4-weights", "mixed")


@dataclass(frozen=True)
class Precision:
    """How numbers are stored and multiplied; as it is made by default: fp32.

    Attributes:
        int8: products of int8 numbers, with one scale per column of a weight and one per tensor of activations.
        bits: of each int8 weight that are used. 7 keeps sums of two products inside 16 bits: CPUs without VNNI
            saturate there (AVX2, onnxruntime#6004).
        ranges: lowest and highest activation of each product, by its name: constant scales. Empty: every call
            finds its own.
        floats: names of products that stay in fp32 all the same.
        weight_bits: 4 or 8: weights alone are quantised, in blocks (`int8` is False then); 0 for not.
        block: numbers of a column that share a scale, with `weight_bits`.
        accuracy: with `weight_bits`: 4 multiplies int8 activations, scaled per block and token; 0 multiplies in fp32.
    """

    int8: bool = False
    bits: int = 7
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    floats: tuple[str, ...] = ()
    weight_bits: int = 0
    block: int = 32
    accuracy: int = 4

    @property
    def quantised(self) -> bool:
        """Whether anything is."""
        return self.int8 or bool(self.weight_bits)

    @property
    def format(self) -> str:
        """The word for it, one of `FORMATS`, or ``fp32``."""
        if self.weight_bits:
            return f"int{self.weight_bits}-weights"
        if not self.int8:
            return "fp32"
        return "mixed" if self.floats else "int8-static" if self.ranges else "int8"


FP32 = Precision()


def products(encoder: Encoder) -> list[tuple[str, Dense]]:
    """Return the products that can be quantised with their names, in the order in which they run.

    The last of the head is none: it has a few columns, and its errors hit the logits.
    """
    found = [("projection", encoder.projection)] if encoder.projection is not None else []
    for index, layer in enumerate(encoder.layers):
        found += [(f"layer{index}.{part}", getattr(layer, part)) for part in PARTS]
    return found + [(f"head{index}", dense) for index, dense in enumerate(encoder.head[:-1])]


def product_of(weight: str) -> str:
    """Return the name of the product that a weight is of: keys by themselves belong to the joined ``qkv``."""
    place, _, part = weight.rpartition(".")
    return f"{place}.qkv" if part == "key" else weight


def product_names(encoder: Encoder) -> list[str]:
    """Return the names of `products`."""
    return [name for name, _ in products(encoder)]


def unmeasured(kind: str, encoder: Encoder, bits: int = 7) -> Precision:
    """Return a format for weights whose activations nobody has measured: it costs what a measured one costs.

    Raises:
        ValueError: `kind` is neither ``fp32`` nor in `FORMATS`, or ``mixed``, which is a choice by what was measured.
    """
    if kind not in ("fp32", *FORMATS) or kind == "mixed":
        raise ValueError(f"format {kind!r} cannot be drawn unmeasured")
    if kind.endswith("-weights"):
        return Precision(weight_bits=4 if kind.startswith("int4") else 8)
    ranges = dict.fromkeys(product_names(encoder), (-8.0, 8.0)) if kind == "int8-static" else {}
    return Precision(int8=kind != "fp32", bits=bits, ranges=ranges)


def write_precision(folder: Path, precision: Precision, asked: str | None = None) -> dict[str, Any]:
    """Write the note beside a checkpoint; returns its content.

    Args:
        folder: holds the checkpoint.
        precision: what to note.
        asked: the format asked for, where it says more than the outcome (``mixed`` that left nothing in fp32).
    """
    note: dict[str, Any] = {"format": asked or precision.format}
    if precision.weight_bits:
        note |= {"block": precision.block, "accuracy": precision.accuracy}
    else:
        note["bits"] = precision.bits
    if precision.floats:
        note["floats"] = list(precision.floats)
    if precision.ranges:
        note["ranges"] = {name: [float(end) for end in ends] for name, ends in precision.ranges.items()}
    if precision.floats or precision.ranges:
        note["weights"] = fingerprint(folder)
    write_json(folder / FILE, note)
    return note


def read_precision(folder: Path) -> Precision:
    """Return what was noted beside a checkpoint, fp32 where nothing was.

    Raises:
        InputError: the note is damaged, or the weights are no longer those whose activations were measured.
    """
    file = folder / FILE
    if not file.is_file():
        return Precision()
    note = read_object(file)
    try:
        precision = _parse(note)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"no note of a precision: {error}", str(file)) from None
    if "weights" in note and note["weights"] != fingerprint(folder):
        raise InputError(
            "the weights have changed since their activations were measured; put the quantisation last", str(file)
        )
    return precision


def _parse(note: Mapping[str, Any]) -> Precision:
    kind = note["format"]
    if kind not in FORMATS:
        raise ValueError(f"format {kind!r} is not one of {', '.join(FORMATS)}")
    if kind.endswith("-weights"):
        block, accuracy = int(note["block"]), int(note["accuracy"])
        if block not in BLOCKS or accuracy not in (0, 4):
            raise ValueError(f"block {block}, accuracy {accuracy}")
        return Precision(weight_bits=4 if kind.startswith("int4") else 8, block=block, accuracy=accuracy)
    ranges = {str(name): (float(low), float(high)) for name, (low, high) in note.get("ranges", {}).items()}
    if kind == "int8-static" and not ranges:
        raise ValueError("'ranges' is missing")
    return Precision(int8=True, bits=int(note["bits"]), ranges=ranges, floats=tuple(note.get("floats", ())))


def fingerprint(folder: Path) -> str:
    """Return what stands for the weights in a folder."""
    sums = [checksum(file) for file in weight_files(folder)]
    return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()

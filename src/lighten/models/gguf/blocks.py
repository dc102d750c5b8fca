"""GGML's block formats: a few numbers share a scale; every format here turns into float32.

Layouts as in ggml's ``ggml-common.h``. A block holds 32 numbers: for the 4-bit kinds the low halves of 16 bytes are
the first 16 numbers and the high halves the last 16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lighten.models.layout import Array

BLOCK = 32


@dataclass(frozen=True)
class Kind:
    """One way to store numbers: its name, numbers and bytes per block, and how bytes [n, bytes] become floats."""

    name: str
    numbers: int
    size: int
    decode: Callable[[Array], Array]


def _half(raw: Array, start: int) -> Array:
    """Read a float16 at a byte of every block, as a float32 column [n, 1]."""
    return np.ascontiguousarray(raw[:, start : start + 2]).view("<f2").astype(np.float32)


def _nibbles(raw: Array) -> Array:
    """Take 16 bytes apart into 32 numbers from 0 to 15."""
    return np.concatenate([raw & 15, raw >> 4], 1)


def _fifth_bits(raw: Array) -> Array:
    """Take four bytes apart into 32 bits, each worth 16."""
    return np.unpackbits(np.ascontiguousarray(raw), axis=1, bitorder="little") << 4


def _q4_0(raw: Array) -> Array:
    return _half(raw, 0) * (_nibbles(raw[:, 2:]).astype(np.float32) - 8)


def _q4_1(raw: Array) -> Array:
    return _half(raw, 0) * _nibbles(raw[:, 4:]).astype(np.float32) + _half(raw, 2)


def _q5_0(raw: Array) -> Array:
    return _half(raw, 0) * ((_nibbles(raw[:, 6:]) | _fifth_bits(raw[:, 2:6])).astype(np.float32) - 16)


def _q5_1(raw: Array) -> Array:
    return _half(raw, 0) * (_nibbles(raw[:, 8:]) | _fifth_bits(raw[:, 4:8])).astype(np.float32) + _half(raw, 2)


def _q8_0(raw: Array) -> Array:
    return _half(raw, 0) * np.ascontiguousarray(raw[:, 2:]).view(np.int8).astype(np.float32)


def _q6_k(raw: Array) -> Array:
    """256 numbers: 128 bytes of low halves, 64 bytes of two high bits each, 16 int8 scales, one scale of them all."""
    low, high = raw[:, :128].reshape(-1, 2, 2, 32), raw[:, 128:192].reshape(-1, 2, 1, 32)
    low = np.concatenate([low & 15, low >> 4], 2)  # [n, half, quarter, 32]
    high = (high >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)) & 3
    values = (low | (high << 4)).astype(np.float32) - 32
    scales = np.ascontiguousarray(raw[:, 192:208]).view(np.int8).astype(np.float32)
    return (values.reshape(-1, 16, 16) * scales[:, :, None]).reshape(-1, 256) * _half(raw, 208)


def _bf16(raw: Array) -> Array:
    return (np.ascontiguousarray(raw).view("<u2").astype(np.uint32) << 16).view(np.float32)


def _plain(dtype: str) -> Callable[[Array], Array]:
    return lambda raw: np.ascontiguousarray(raw).view(dtype).astype(np.float32)


KINDS: dict[int, Kind] = {
    0: Kind("F32", 1, 4, _plain("<f4")),
    1: Kind("F16", 1, 2, _plain("<f2")),
    2: Kind("Q4_0", BLOCK, 18, _q4_0),
    3: Kind("Q4_1", BLOCK, 20, _q4_1),
    6: Kind("Q5_0", BLOCK, 22, _q5_0),
    7: Kind("Q5_1", BLOCK, 24, _q5_1),
    8: Kind("Q8_0", BLOCK, 34, _q8_0),
    14: Kind("Q6_K", 256, 210, _q6_k),
    30: Kind("BF16", 1, 2, _bf16),
}
"""By ggml's number of the type."""

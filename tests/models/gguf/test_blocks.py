from __future__ import annotations

import struct

import numpy as np
import pytest
from tests.helpers.decoders import q4_1, q8_0

from lighten.models.gguf.blocks import KINDS

BY_NAME = {kind.name: kind for kind in KINDS.values()}


def raw_blocks(name: str, count: int = 20, seed: int = 0) -> np.ndarray:
    """Random bytes whose half-precision numbers are finite."""
    kind = BY_NAME[name]
    raw = np.random.default_rng(seed).integers(0, 256, (count, kind.size), dtype=np.uint8)
    halves = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q6_K": [208]}[name]
    for at in halves:
        raw[:, at + 1] &= 0x3B  # exponent below 15
    return raw


def half(block: bytes, at: int) -> float:
    return struct.unpack_from("<e", block, at)[0]


def obvious(name: str, block: bytes) -> list[float]:
    """Decode one block, number by number."""
    found = []
    if name == "Q6_K":
        for index in range(256):
            side, inside = divmod(index, 128)
            quarter, place = divmod(inside, 32)
            low = block[side * 64 + (quarter % 2) * 32 + place]
            low = low & 15 if quarter < 2 else low >> 4
            high = (block[128 + side * 32 + place] >> (2 * quarter)) & 3
            (scale,) = struct.unpack_from("b", block, 192 + index // 16)
            found.append(half(block, 208) * scale * ((low | high << 4) - 32))
        return found
    for index in range(32):
        start = {"Q4_0": 2, "Q4_1": 4, "Q5_0": 6, "Q5_1": 8}.get(name, 0)
        if name == "Q8_0":
            found.append(half(block, 0) * struct.unpack_from("b", block, 2 + index)[0])
            continue
        byte = block[start + index % 16]
        step = byte & 15 if index < 16 else byte >> 4
        if name.startswith("Q5"):
            (bits,) = struct.unpack_from("<I", block, start - 4)
            step |= ((bits >> index) & 1) << 4
        offset = {"Q4_0": -8, "Q5_0": -16}.get(name, 0)
        found.append(half(block, 0) * (step + offset) + (half(block, 2) if name.endswith("1") else 0.0))
    return found


@pytest.mark.parametrize("name", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q6_K"])
def test_decoding_equals_the_obvious_way(name):
    raw = raw_blocks(name)
    expected = [obvious(name, block.tobytes()) for block in raw]
    np.testing.assert_allclose(BY_NAME[name].decode(raw), np.array(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "dtype"), [("F32", "<f4"), ("F16", "<f2")])
def test_plain_numbers(name, dtype):
    numbers = np.array([1.5, -2.25, 0.0], dtype)
    raw = np.frombuffer(numbers.tobytes(), np.uint8).reshape(3, -1)
    np.testing.assert_array_equal(BY_NAME[name].decode(raw).ravel(), numbers.astype(np.float32))


def test_bfloat16_is_the_upper_half_of_a_float():
    raw = np.frombuffer(np.array([1.5, -3.0], "<f4").tobytes(), np.uint8).reshape(2, 4)[:, 2:]
    assert BY_NAME["BF16"].decode(raw).ravel().tolist() == [1.5, -3.0]


@pytest.mark.parametrize(("name", "encode", "steps"), [("Q4_1", q4_1, 15), ("Q8_0", q8_0, 254)])
def test_what_was_encoded_comes_back_within_half_a_step(name, encode, steps):
    numbers = np.random.default_rng(0).normal(size=(5, 32)).astype(np.float32)
    raw = np.frombuffer(encode(numbers), np.uint8).reshape(5, -1)
    span = np.ptp(numbers) if name == "Q4_1" else 2 * np.abs(numbers).max()
    assert np.abs(BY_NAME[name].decode(raw) - numbers).max() <= 0.55 * span / steps

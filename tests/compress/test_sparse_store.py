"""Sparse weights on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tests.helpers.checkpoints import check_loads, write_model

from lighten.compress.sparse_store import PACKED, pack, packed, sizes_of, unpack, unpacked
from lighten.compress.steps import Sparsify
from lighten.errors import InputError


def bits(state):
    return {
        name: (value.dtype, tuple(value.shape), value.contiguous().numpy().tobytes()) for name, value in state.items()
    }


@given(
    st.integers(1, 40),
    st.integers(1, 17),
    st.floats(0, 1),
    st.integers(0, 99),
    st.sampled_from(("float32", "float16")),
)
def test_every_bit_comes_back(rows, columns, zeros, seed, kind):
    rng = np.random.default_rng(seed)
    value = rng.standard_normal((rows, columns)).astype(kind)
    value[rng.random((rows, columns)) < zeros] = 0
    value.ravel()[:3] = np.array([-0.0, np.nan, np.inf], kind)[: value.size]
    state = {"m": torch.from_numpy(value), "b": torch.zeros(9), "ids": torch.arange(4)}
    tensors, described = packed(state)
    assert bits(unpacked(tensors, json.loads(json.dumps(described)))) == bits(state)
    assert set(described) <= {"m"}
    sizes = sizes_of(state)
    assert sizes["packed"] <= sizes["dense"]


def test_bfloat16_comes_back():
    value = torch.randn(16, 16).bfloat16().masked_fill_(torch.rand(16, 16) < 0.8, 0.0)
    tensors, described = packed({"m": value})
    back = unpacked(tensors, described)["m"]
    assert described["m"]["dtype"] == "bfloat16" and torch.equal(back, value) and back.dtype == value.dtype


def test_bytes_are_counted():
    value = torch.zeros(8, 16)
    value[0, :10] = 1
    assert sizes_of({"m": value, "b": torch.ones(3)}) == {"dense": 512 + 12, "packed": 16 + 40 + 12}


def test_a_full_matrix_stays_as_it_is():
    tensors, described = packed({"m": torch.ones(8, 8)})
    assert set(tensors) == {"m"} and not described


def test_a_folder(bert, tmp_path, make_context):
    Sparsify(sparsity=0.9, schedule="one-shot").apply(bert, tmp_path, make_context())
    before = load_file(tmp_path / "model.safetensors")
    sizes = pack(tmp_path, replace=True)
    assert sizes["packed"] == (tmp_path / PACKED).stat().st_size < 0.6 * sizes["dense"]
    assert not (tmp_path / "model.safetensors").exists()
    unpack(tmp_path)
    assert bits(load_file(tmp_path / "model.safetensors")) == bits(before)
    check_loads(tmp_path)


def test_half_precision_rounds_once(tmp_path):
    folder = write_model(tmp_path / "m")
    before = load_file(folder / "model.safetensors")
    pack(folder, half=True)
    unpack(folder)
    after = load_file(folder / "model.safetensors")
    name = "bert.encoder.layer.0.output.dense.weight"
    assert after[name].dtype == torch.float32 and torch.equal(after[name], before[name].half().float())
    assert torch.equal(after["bert.pooler.dense.bias"], before["bert.pooler.dense.bias"])
    with pytest.raises(InputError, match="half precision cannot hold"):
        packed({"m": torch.full((8, 8), 1e6)}, half=True)


def note(described):
    return {"lighten": json.dumps({"format": "lighten-sparse-1", "packed": described})}


def test_damage_is_noticed(tmp_path):
    value = torch.zeros(8, 16)
    value[0] = 1
    save_file({"m": value}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"no model\.sparse\.safetensors to unpack"):
        unpack(tmp_path)
    pack(tmp_path)
    whole = (tmp_path / PACKED).read_bytes()
    (tmp_path / PACKED).write_bytes(whole[:-4])
    with pytest.raises(InputError, match="cannot be read"):
        unpack(tmp_path)
    described = {"m": {"shape": [8, 16], "dtype": "float32"}}
    for bitmap, count, said in ((16, 3, "counts 128 values, but there are 3"), (4, 3, "4 bytes for 128 weights")):
        tensors = {"m.bitmap": torch.full((bitmap,), 255, dtype=torch.uint8), "m.values": torch.ones(count)}
        save_file(tensors, tmp_path / PACKED, note(described))
        with pytest.raises(InputError, match=f"damaged: .*{said}"):
            unpack(tmp_path)
    save_file({"m": value}, tmp_path / PACKED, note([1]))
    with pytest.raises(InputError, match="damaged"):
        unpack(tmp_path)
    save_file({"m": value}, tmp_path / PACKED)
    with pytest.raises(InputError, match="its format is None"):
        unpack(tmp_path)
    assert torch.equal(load_file(tmp_path / "model.safetensors")["m"], value)


def test_nothing_to_pack(tmp_path):
    with pytest.raises(InputError, match=r"no model\.safetensors to pack"):
        pack(tmp_path)

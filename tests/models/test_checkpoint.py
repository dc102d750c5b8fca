"""Reading and writing checkpoint folders, whole and broken ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.helpers.checkpoints import KINDS
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from lighten.errors import InputError
from lighten.models.checkpoint import (
    check_model,
    copy_tokenizer,
    read_config,
    read_state,
    read_tokenizer_config,
    weight_files,
    write_checkpoint,
)


@pytest.fixture
def folder(tmp_path, bert) -> Path:
    """A copy to break."""
    return shutil.copytree(bert, tmp_path / "model")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_and_written_again_is_the_same_model(tmp_path, checkpoints, kind):
    source = checkpoints[kind]
    write_checkpoint(tmp_path, read_config(source), read_state(source), tokenizer=source)
    before, after = (AutoModelForSequenceClassification.from_pretrained(f).state_dict() for f in (source, tmp_path))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert AutoTokenizer.from_pretrained(tmp_path)("good")["input_ids"]
    check_model(tmp_path)


def test_a_view_that_is_not_contiguous_is_written_right(tmp_path):
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_checkpoint(tmp_path, {"model_type": "bert"}, {"turned": matrix.T, "cut": matrix[:, 1:]}, tokenizer=None)
    state = read_state(tmp_path)
    np.testing.assert_array_equal(state["turned"], matrix.T)
    np.testing.assert_array_equal(state["cut"], matrix[:, 1:])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_are_read_as_float32(folder, dtype):
    tensors = load_file(folder / "model.safetensors")
    small = {name: value.to(dtype) for name, value in tensors.items()} | {"count": torch.tensor([3])}
    save_file(small, folder / "model.safetensors", {"format": "pt"})
    state = read_state(folder)
    assert state.pop("count").dtype == np.int64
    for name, value in state.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, small[name].float().numpy())


def test_the_written_config_says_float32(tmp_path):
    config = {"model_type": "bert", "torch_dtype": "bfloat16"}
    write_checkpoint(tmp_path, config, {"a": np.zeros(1, np.float32)}, tokenizer=None)
    assert read_config(tmp_path) == {"model_type": "bert", "dtype": "float32"}


def test_old_names_of_layer_norms(folder):
    tensors = load_file(folder / "model.safetensors")
    renamed = {
        n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
        for n, v in tensors.items()
    }
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    assert set(read_state(folder)) == set(tensors)


def test_split_weights(folder):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-1-of-2.safetensors": names[::2], "model-2-of-2.safetensors": names[1::2]}
    for file, held in parts.items():
        save_file({name: tensors[name] for name in held}, folder / file, {"format": "pt"})
    index = {"weight_map": {name: file for file, held in parts.items() for name in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert set(read_state(folder)) == set(tensors)
    assert len(weight_files(folder)) == 2
    (folder / "model-2-of-2.safetensors").unlink()
    with pytest.raises(InputError, match=r"index\.json: the weights model-2-of-2\.safetensors that it names are mis"):
        check_model(folder)


def test_an_index_that_leaves_the_folder(folder):
    (folder / "model.safetensors").rename(folder.parent / "other.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../other.safetensors"}}))
    with pytest.raises(InputError, match=r"other\.safetensors that it names are missing"):
        check_model(folder)


def test_other_files_of_tensors_are_no_weights(folder):
    """Transformers reads model.safetensors alone, so an adapter or a copy in half precision must not be mixed in."""
    save_file({"astray": torch.zeros(1)}, folder / "adapter_model.safetensors")
    assert "astray" not in read_state(folder)


def test_a_whole_folder_passes(bert):
    assert check_model(bert)["model_type"] == "bert"


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: a model is a folder with config\.json and model\.safetensors"):
        check_model(tmp_path / "nowhere")


def test_no_config(folder):
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"no config\.json; the folder holds model\.safetensors, "):
        check_model(folder)


@pytest.mark.parametrize(
    ("content", "said"), [(b"{", "not valid JSON"), (b"[1]", "not a JSON object"), (b"\xff\xfe{}", "not valid JSON")]
)
def test_a_damaged_config(folder, content, said):
    (folder / "config.json").write_bytes(content)
    with pytest.raises(InputError, match=said):
        check_model(folder)


def test_pickled_weights_are_refused(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(InputError, match=r"only pytorch_model\.bin, which may run code; convert it to safetensors"):
        check_model(folder)


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    for read in (check_model, read_state):
        with pytest.raises(InputError, match=r"no model\.safetensors; the folder holds config\.json, tokenizer"):
            read(folder)


@pytest.mark.parametrize("keep", [0, 5, 200, -3])
def test_damaged_weights(folder, keep):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    for read in (check_model, read_state):
        with pytest.raises(InputError, match=r"model\.safetensors: the weights cannot be read"):
            read(folder)


def test_no_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"no tokenizer\.json \(a fast tokenizer\); the folder holds config\.json"):
        check_model(folder)


def test_tokenizer_files_are_copied(tmp_path, bert):
    copy_tokenizer(bert, tmp_path)
    assert read_tokenizer_config(tmp_path) == read_tokenizer_config(bert) != {}
    assert not (tmp_path / "model.safetensors").exists()
    (tmp_path / "tokenizer_config.json").unlink()
    assert read_tokenizer_config(tmp_path) == {}
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        read_tokenizer_config(tmp_path)

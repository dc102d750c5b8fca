"""The model folder: read by lighten, transformers and ONNX Runtime alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import ALL_KINDS, sentences
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from lighten.errors import InputError
from lighten.export.bundle import GRAPH, Serving, write_bundle
from lighten.export.checkpoint import graph_of
from lighten.measure.size import size_mb
from lighten.models.checkpoint import read_config
from lighten.pipeline.files import checksum, read_json, write_json
from lighten.runtime import load

SERVING = Serving(("rotten", "fresh"), 24, 1)
PLAN = [{"name": "finetune", "version": 1}]
TEXTS = [*sentences(6, seed=4)[0], "", "good " * 60, "Zyx, 42!"]


def bundle(target: Path, checkpoint: Path, serving: Serving = SERVING, **options) -> Path:
    target.mkdir()
    write_bundle(target, graph_of(checkpoint), checkpoint, serving, plan=PLAN, samples=TEXTS[:4], **options)
    return target


@pytest.fixture(scope="module", params=ALL_KINDS)
def folder(request, checkpoints, tmp_path_factory):
    return bundle(tmp_path_factory.mktemp("bundle") / "model", checkpoints[request.param])


def test_lighten_loads_it_and_finds_it_in_order(folder):
    model = load(folder)
    model.verify()
    assert model.self_test() == []
    assert len(model.folder.self_test) == 4
    assert model.labels == ("rotten", "fresh")
    assert model.folder.plan == PLAN and model.folder.max_tokens == 24 and model.threads == 1


def test_every_file_is_listed_with_its_checksum_and_role(folder):
    listed = read_json(folder / "lighten.json")["files"]
    present = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()} - {"lighten.json"}
    assert set(listed) == present
    for name, entry in listed.items():
        assert entry["sha256"] == checksum(folder / name) and entry["bytes"] == (folder / name).stat().st_size
        assert entry["role"] == ("training" if name == "model.safetensors" else "serving")


def test_packed_sparse_weights_are_for_training(checkpoints, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(checkpoints["bert"], source)
    (source / "model.sparse.safetensors").write_bytes(b"packed")
    folder = bundle(tmp_path / "model", source)
    assert read_json(folder / "lighten.json")["files"]["model.sparse.safetensors"]["role"] == "training"
    assert (folder / "model.sparse.safetensors").read_bytes() == b"packed"


def test_transformers_reads_the_config(folder):
    config = AutoConfig.from_pretrained(folder)
    assert config.id2label == {0: "rotten", 1: "fresh"} and config.label2id == {"rotten": 0, "fresh": 1}
    assert config.problem_type == "single_label_classification"
    content = read_json(folder / "config.json")
    assert content["hidden_size"] == 32 and content["num_hidden_layers"] == 2  # DistilBERT too


def test_transformers_gives_the_logits_of_the_graph(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.model_max_length == 24 and tokenizer.padding_side == tokenizer.truncation_side == "right"
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    batch = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt", return_token_type_ids=False)
    assert batch["input_ids"].shape[1] == 24
    with torch.no_grad():
        wanted = model(**batch).logits.numpy()
    found = load(folder)
    np.testing.assert_allclose(found.logits(TEXTS), wanted, atol=1e-4)
    names = [model.config.id2label[i] for i in wanted.argmax(1)]
    assert [p.label for p in found.predict(TEXTS)] == names


def test_a_changed_file_is_noticed(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    content = (copy / GRAPH).read_bytes()
    middle = len(content) // 2  # within the weights: the graph still loads
    (copy / GRAPH).write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    with pytest.raises(InputError, match=r"model\.onnx: the checksum differs"):
        load(copy).verify()


def test_wrong_expectations_are_noticed(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    description = read_json(copy / "lighten.json")
    description["self_test"][0]["logits"][0] += 0.1
    write_json(copy / "lighten.json", description)
    assert len(load(copy).self_test()) == 1


def test_without_weights_it_serves_all_the_same(tmp_path, bert):
    model = load(bundle(tmp_path / "model", bert, weights=False))
    assert not (tmp_path / "model/model.safetensors").exists()
    assert model.self_test() == []


def test_weights_do_not_count_as_size(tmp_path, bert):
    with_, without = bundle(tmp_path / "a", bert), bundle(tmp_path / "b", bert, weights=False)
    assert size_mb(with_) == pytest.approx(size_mb(without), rel=0.02)


def test_the_right_side_whatever_the_tokenizer_said(tmp_path, bert):
    """The graph takes padding on the right only."""
    left = shutil.copytree(bert, tmp_path / "left")
    settings = read_json(left / "tokenizer_config.json")
    write_json(left / "tokenizer_config.json", {**settings, "padding_side": "left", "truncation_side": "left"})
    folder = bundle(tmp_path / "model", left)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.padding_side == tokenizer.truncation_side == "right"


def test_a_checkpoint_without_tokenizer_config(tmp_path, bert):
    bare = shutil.copytree(bert, tmp_path / "bare")
    (bare / "tokenizer_config.json").unlink()
    folder = bundle(tmp_path / "model", bare)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.model_max_length == 24
    assert tokenizer("a good film")["input_ids"] == load(folder).tokenize(["a good film"])[0].tolist()


def test_weights_behind_a_symbolic_link_are_followed(tmp_path, bert):
    """As in the cache of a hub, where files are relative links."""
    (tmp_path / "blobs").mkdir()
    source = shutil.copytree(bert, tmp_path / "snapshot")
    shutil.move(source / "model.safetensors", tmp_path / "blobs/1")
    (source / "model.safetensors").symlink_to("../blobs/1")
    (tmp_path / "elsewhere").mkdir()
    folder = bundle(tmp_path / "elsewhere/model", source)
    assert not (folder / "model.safetensors").is_symlink()
    load(folder).verify()


def test_special_characters_in_labels(tmp_path, bert):
    labels = ("schlecht \u2713", 'with "quotes"')
    folder = bundle(tmp_path / "model", bert, Serving(labels, 24, 1))
    assert load(folder).labels == labels
    assert tuple(AutoConfig.from_pretrained(folder).id2label.values()) == labels


def test_other_classes_than_the_checkpoint_had_in_its_config(tmp_path, bert):
    """A config may carry stale names; those served count."""
    config = {**read_config(bert), "id2label": {"0": "x", "1": "y", "2": "z"}}
    stale = shutil.copytree(bert, tmp_path / "stale")
    write_json(stale / "config.json", config)
    assert json.loads((bundle(tmp_path / "model", stale) / "config.json").read_text())["id2label"] == {
        "0": "rotten",
        "1": "fresh",
    }

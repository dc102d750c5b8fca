"""Loading classifiers for training: from the folder alone."""

from __future__ import annotations

import builtins
import pickle
import shutil
import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.helpers.checkpoints import ALL_KINDS
from transformers import AutoModel, AutoModelForSequenceClassification

from lighten.errors import InputError
from lighten.models.load import load_classifier, save_classifier
from lighten.pipeline.files import read_json, write_json


@pytest.fixture(params=ALL_KINDS)
def kind(request) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path, bert) -> Path:
    """A copy to break."""
    return shutil.copytree(bert, tmp_path / "model")


def logits(model, dropout_on: bool = False):
    model.train(dropout_on)
    with torch.no_grad():
        return model(torch.arange(20, 30)[None], torch.ones(1, 10, dtype=torch.long)).logits


def edit(folder: Path, **changes) -> None:
    config = {**read_json(folder / "config.json"), **changes}
    write_json(folder / "config.json", {key: value for key, value in config.items() if value is not ...})


def test_the_weights_are_those_in_the_folder(checkpoints, kind):
    model = load_classifier(checkpoints[kind], ["a", "b"], seed=0)
    plain = AutoModelForSequenceClassification.from_pretrained(checkpoints[kind])
    assert torch.allclose(logits(model), logits(plain), atol=1e-6)
    assert model.config.id2label == {0: "a", 1: "b"} and model.config.label2id == {"a": 0, "b": 1}
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_another_number_of_labels_draws_a_head_from_the_seed(checkpoints, kind):
    first, again, other = (load_classifier(checkpoints[kind], ["a", "b", "c"], seed=s) for s in (5, 5, 6))
    assert logits(first).shape == (1, 3)
    assert torch.equal(logits(first), logits(again)) and not torch.equal(logits(first), logits(other))
    plain = AutoModel.from_pretrained(checkpoints[kind]).state_dict()
    for name, value in plain.items():  # and nothing else is drawn
        if "pooler" not in name:
            assert torch.equal(first.base_model.state_dict()[name], value)


def test_a_bare_encoder_gets_a_head_from_the_seed(tmp_path, checkpoints, kind):
    shutil.copytree(checkpoints[kind], tmp_path / "bare")
    AutoModel.from_pretrained(checkpoints[kind]).save_pretrained(tmp_path / "bare")
    torch.manual_seed(123)  # whatever ran before does not matter
    first = load_classifier(tmp_path / "bare", ["a", "b"], seed=1)
    torch.manual_seed(321)
    assert torch.equal(logits(first), logits(load_classifier(tmp_path / "bare", ["a", "b"], seed=1)))
    assert not torch.equal(logits(first), logits(load_classifier(tmp_path / "bare", ["a", "b"], seed=2)))


def test_dropout_is_what_was_asked_for(tmp_path, checkpoints, kind):
    folder = shutil.copytree(checkpoints[kind], tmp_path / "model")
    if kind != "distilbert":
        edit(folder, classifier_dropout=0.5)
    still = load_classifier(folder, ["a", "b"], seed=0)
    assert torch.equal(logits(still, dropout_on=True), logits(still))
    assert {m.p for m in still.modules() if isinstance(m, torch.nn.Dropout)} <= {0.0}
    lively = load_classifier(folder, ["a", "b"], seed=0, dropout=0.3)
    assert {m.p for m in lively.modules() if isinstance(m, torch.nn.Dropout)} == {0.3}
    assert not torch.equal(logits(lively, dropout_on=True), logits(lively))


def test_no_network_and_no_pickle(folder, monkeypatch):
    """Neither a hub nor a pickle is touched, even where the folder invites to."""
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))
    write_json(folder / "adapter_config.json", {"base_model_name_or_path": "someone/else", "peft_type": "LORA"})
    edit(folder, auto_map={"AutoConfig": "evil.Config", "AutoModelForSequenceClassification": "evil.Model"})
    (folder / "evil.py").write_text("raise SystemExit('code of the folder ran')")

    def refuse(*args, **kwargs):
        raise AssertionError(f"touched: {args}")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    opened = builtins.open
    monkeypatch.setattr(
        builtins, "open", lambda file, *a, **k: refuse(file) if str(file).endswith(".bin") else opened(file, *a, **k)
    )
    assert logits(load_classifier(folder, ["a", "b"], seed=0)).shape == (1, 2)


def test_pickled_weights_alone_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="may run code"):
        load_classifier(folder, ["a", "b"], seed=0)


def test_a_config_without_architectures(folder):
    plain = logits(load_classifier(folder, ["a", "b"], seed=0))
    edit(folder, architectures=...)
    assert torch.equal(logits(load_classifier(folder, ["a", "b"], seed=0)), plain)


def test_bfloat16_is_loaded_as_float32(folder):
    tensors = {name: value.bfloat16() for name, value in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    edit(folder, dtype="bfloat16")
    model = load_classifier(folder, ["a", "b"], seed=0)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    for name, value in model.state_dict().items():
        assert torch.equal(value, tensors[name].float())


def test_an_unsupported_type(folder):
    edit(folder, model_type="gpt2")
    with pytest.raises(InputError, match=r"config\.json: model type 'gpt2' is not supported"):
        load_classifier(folder, ["a", "b"], seed=0)


def test_weights_of_another_architecture(tmp_path, checkpoints):
    """Transformers would say nothing and draw a whole encoder at random."""
    folder = shutil.copytree(checkpoints["roberta"], tmp_path / "model")
    shutil.copyfile(checkpoints["distilbert"] / "model.safetensors", folder / "model.safetensors")
    with pytest.raises(InputError, match=r"do not fit config\.json: \d+ tensors .* roberta\.embeddings"):
        load_classifier(folder, ["a", "b"], seed=0)


@pytest.mark.parametrize("change", [{"intermediate_size": 48}, {"num_hidden_layers": 3}, {"vocab_size": 7000}])
def test_weights_of_another_shape(folder, change):
    edit(folder, **change)
    with pytest.raises(InputError, match=r"do not fit config\.json"):
        load_classifier(folder, ["a", "b"], seed=0)


@pytest.mark.parametrize("change", [{"num_hidden_layers": "two"}, {"num_attention_heads": 5}, {"hidden_act": "glue"}])
def test_a_config_that_transformers_refuses(folder, change):
    edit(folder, **change)
    with pytest.raises(InputError, match="transformers cannot"):
        load_classifier(folder, ["a", "b"], seed=0)


def test_what_is_saved_loads_in_plain_transformers(tmp_path, checkpoints, kind):
    model = load_classifier(checkpoints[kind], ["a", "b", "c"], seed=0)
    save_classifier(model, tmp_path, checkpoints[kind])
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert torch.allclose(logits(loaded), logits(model), atol=1e-6)
    assert loaded.config.id2label == {0: "a", 1: "b", 2: "c"}
    assert loaded.config.architectures == [type(model).__name__]
    assert (tmp_path / "tokenizer.json").is_file() and not list(tmp_path.glob("*.bin"))

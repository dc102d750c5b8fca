"""Encoder-decoders of every kind load; one without its decoder does not, and none is filled with random numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.conftest import make_tokenizer

from lighten.errors import InputError
from lighten.models.auto import first_token_global, load_auto, save_auto
from lighten.models.warm_start import load_from_encoder
from lighten.models.writing import Writing, write_summaries
from lighten.train.datasets.pairs import PairRows

BART = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "decoder_start_token_id": 3,
}
LED = {**BART, "attention_window": [4], "max_encoder_position_embeddings": 64, "max_decoder_position_embeddings": 16}
CONFIGS = {
    "bart": {**BART, "max_position_embeddings": 64},
    "pegasus": {**BART, "max_position_embeddings": 64},
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0},
    "led": LED,
}


@pytest.fixture(params=[*CONFIGS, "encoder-decoder"])
def summarizer(request, bert, tmp_path) -> Path:
    """Folder of a tiny summariser of one kind."""
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    folder = tmp_path / request.param
    if request.param == "encoder-decoder":
        save_auto(load_from_encoder(bert, seed=0), folder, bert)
        return folder
    folder.mkdir()
    pieces = make_tokenizer(folder / "tokenizer.json")
    config = AutoConfig.for_model(request.param, vocab_size=pieces, pad_token_id=0, **CONFIGS[request.param])
    torch.manual_seed(1)
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(folder)
    return folder


def change(folder: Path, keep) -> None:
    """Keep only some of the tensors."""
    file = folder / "model.safetensors"
    state = load_file(file)
    kept = {name: value for name, value in state.items() if keep(name)}
    assert 0 < len(kept) < len(state)
    save_file(kept, file, metadata={"format": "pt"})


def test_every_kind_loads_as_it_was_saved(summarizer):
    model = load_auto(summarizer, "seq2seq", seed=0)
    state = model.state_dict()
    for name, value in load_file(summarizer / "model.safetensors").items():
        assert torch.equal(state[name], value), name


def test_led_from_scratch(tmp_path):
    pieces = make_tokenizer(tmp_path / "tokenizer.json")
    (tmp_path / "config.json").write_text(json.dumps({**LED, "model_type": "led", "vocab_size": pieces}))
    model = load_auto(tmp_path, "seq2seq", seed=0, from_scratch=True)
    assert first_token_global(model) and model.config.model_type == "led"


def test_a_folder_without_its_decoder_is_refused(summarizer):
    change(summarizer, lambda name: "decoder." not in name)
    with pytest.raises(InputError, match=r"do not fit config.json: .*decoder"):
        load_auto(summarizer, "seq2seq", seed=0)


def test_a_folder_without_half_of_its_encoder_is_refused(summarizer):
    first = next(name for name in load_file(summarizer / "model.safetensors") if "encoder." in name and ".0." in name)
    change(summarizer, lambda name: name != first)
    with pytest.raises(InputError, match="1 tensors of the body"):
        load_auto(summarizer, "seq2seq", seed=0)


def test_heads_may_be_new(bert, tmp_path):
    save_auto(load_from_encoder(bert, seed=0), tmp_path, bert)
    change(tmp_path, lambda name: "pooler" not in name and ".cls." not in name)
    load_auto(tmp_path, "seq2seq", seed=0)


def test_sines_are_computed_where_a_checkpoint_lacks_them(tmp_path):
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    pieces = make_tokenizer(tmp_path / "tokenizer.json")
    config = AutoConfig.for_model("pegasus", vocab_size=pieces, pad_token_id=0, **CONFIGS["pegasus"])
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(tmp_path)
    whole = load_file(tmp_path / "model.safetensors")
    change(tmp_path, lambda name: "embed_positions" not in name)
    model = load_auto(tmp_path, "seq2seq", seed=5)
    for half in ("encoder", "decoder"):
        name = f"model.{half}.embed_positions.weight"
        assert torch.equal(model.state_dict()[name], whole[name])


@pytest.mark.parametrize("summarizer", ["led"], indirect=True)
def test_the_first_token_of_led_is_global(summarizer):
    model = load_auto(summarizer, "seq2seq", seed=0)
    seen = []
    model.led.encoder.register_forward_pre_hook(
        lambda module, given, named: seen.append(named["global_attention_mask"]), with_kwargs=True
    )
    sources = [np.array([2, 7, 8, 9, 3]), np.arange(2, 20)]
    write_summaries(model, sources, Writing(2, 4, 1.0, 0))
    rows = PairRows(sources, [np.array([7, 3])] * 2, 0, 3, first_token_global(model))
    model(**rows.batch(np.arange(2)).inputs)
    assert len(seen) == 2
    for mask in seen:
        assert (mask[:, 0] == 1).all() and mask.sum() == len(mask) == 2


@pytest.mark.parametrize("summarizer", ["bart"], indirect=True)
def test_others_hear_of_no_global_token(summarizer):
    model = load_auto(summarizer, "seq2seq", seed=0)
    rows = PairRows([np.array([2, 3])], [np.array([7, 3])], 0, 3, first_token_global(model))
    assert "global_attention_mask" not in rows.batch(np.arange(1)).inputs


@pytest.mark.parametrize(
    ("kind", "padding", "limit"),
    [
        ("roberta", 1, 38),
        ("longformer", 1, 38),
        ("mpnet", 1, 38),
        ("roberta", 0, 39),
        ("bert", 0, 40),
        ("t5", 0, None),
    ],
)
def test_positions_begin_after_the_padding_token_in_some_tables(kind, padding, limit):
    from types import SimpleNamespace

    from transformers import AutoConfig

    from lighten.models.auto import positions_of

    sizes = {"n_positions": 40} if kind == "t5" else {"max_position_embeddings": 40}
    config = AutoConfig.for_model(kind, pad_token_id=padding, **sizes)
    assert positions_of(SimpleNamespace(config=config)) == limit


@pytest.mark.parametrize("kind", ["roberta", "mpnet", "longformer"])
def test_a_text_of_all_positions_can_be_read(kind):
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from lighten.models.auto import positions_of

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    more = {"attention_window": [4]} if kind == "longformer" else {}
    config = AutoConfig.for_model(kind, vocab_size=30, max_position_embeddings=20, pad_token_id=1, **sizes, **more)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    limit = positions_of(model)
    with torch.no_grad():
        assert model(input_ids=torch.full((1, limit), 5)).logits.isfinite().all()
        if kind != "longformer":  # that one pads to its windows
            with pytest.raises((IndexError, RuntimeError)):
                model(input_ids=torch.full((1, limit + 1), 5))

from __future__ import annotations

import pytest
import torch

from lighten.errors import InputError
from lighten.models.auto import hidden_width, load_auto, positions_of, save_auto, special_tokens, written_positions
from lighten.models.encoder_decoder import can_draw
from lighten.models.warm_start import load_from_encoder


def test_both_halves_are_the_encoder(bert):
    from safetensors.torch import load_file

    model = load_from_encoder(bert, seed=0)
    known = load_file(bert / "model.safetensors")
    name = next(name for name in known if name.endswith("encoder.layer.0.attention.self.query.weight"))
    short = name.removeprefix("bert.")
    ours = model.state_dict()
    assert torch.equal(ours[f"encoder.{short}"], known[name])
    assert torch.equal(ours[f"decoder.bert.{short}"], known[name])
    assert any("crossattention" in name for name in ours)
    special = special_tokens(bert)
    assert model.config.decoder_start_token_id == special["cls"] and model.config.eos_token_id == special["sep"]
    assert str(bert) not in model.config.to_json_string()
    assert hidden_width(model) == model.config.encoder.hidden_size
    assert positions_of(model) == written_positions(model) == model.config.encoder.max_position_embeddings


def test_the_seed_decides_what_is_new(bert):
    one, same, other = (load_from_encoder(bert, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_the_checkpoint_is_one_of_transformers(bert, tmp_path):
    from transformers import AutoModelForSeq2SeqLM

    model = load_from_encoder(bert, seed=0).eval()
    save_auto(model, tmp_path, bert)
    again, info = AutoModelForSeq2SeqLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    inputs = {"input_ids": torch.tensor([[2, 7, 8, 9, 3]]), "decoder_input_ids": torch.tensor([[2, 7, 8]])}
    with torch.no_grad():
        assert torch.allclose(model(**inputs).logits, again.eval()(**inputs).logits, atol=1e-5)


def test_windows_stay_in_the_encoder(bert, tmp_path):
    from transformers import AutoModel

    from lighten.models.attention.apply import set_attention
    from lighten.models.attention.pattern import Pattern
    from lighten.models.attention.register import NAME

    encoder = AutoModel.from_pretrained(bert)
    set_attention(encoder, Pattern(window=2))
    save_auto(encoder, tmp_path / "encoder", bert)
    model = load_from_encoder(tmp_path / "encoder", seed=0).eval()
    save_auto(model, tmp_path / "both", bert)
    again = load_auto(tmp_path / "both", "seq2seq", seed=0).eval()
    for one in (model, again):
        assert one.encoder.config._attn_implementation == NAME != one.decoder.config._attn_implementation
    inputs = {"input_ids": torch.arange(7, 20)[None], "decoder_input_ids": torch.tensor([[6, 7, 8]])}
    with torch.no_grad():
        logits = model(**inputs).logits
        assert torch.allclose(logits, again(**inputs).logits, atol=1e-5)
        full = load_from_encoder(bert, seed=0).eval()
        assert not torch.allclose(logits, full(**inputs).logits, atol=1e-5)


def test_an_encoder_that_cannot_write_is_refused(bert, tmp_path):
    import shutil

    from transformers import AutoConfig, AutoModel

    config = AutoConfig.for_model(
        "distilbert", vocab_size=60, dim=32, n_layers=1, n_heads=4, hidden_dim=64, max_position_embeddings=64
    )
    AutoModel.from_config(config).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(bert / name, tmp_path / name)
    with pytest.raises(InputError, match="distilbert"):
        load_from_encoder(tmp_path, seed=0)


def test_a_modernbert_is_no_half_that_is_drawn():
    for halves in (("modernbert", "bert"), ("bert", "modernbert")):
        encoder, decoder = ({"model_type": kind} for kind in halves)
        assert not can_draw({"model_type": "encoder-decoder", "encoder": encoder, "decoder": decoder})

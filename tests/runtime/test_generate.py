from __future__ import annotations

import builtins
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from tests.helpers.decoders import decoder, decoder_folder

from lighten.errors import InputError
from lighten.runtime import load_generator
from lighten.runtime.generate import _overlap

__all__ = ["decoder", "decoder_folder"]


@pytest.fixture(scope="module")
def model(decoder_folder):
    return load_generator(decoder_folder)


def test_greedy_text_is_that_of_transformers(decoder, model):
    import torch
    from transformers import AutoModelForCausalLM

    ids = model.encode("the film was")
    peer = AutoModelForCausalLM.from_pretrained(decoder)
    expected = peer.generate(torch.from_numpy(ids)[None], max_new_tokens=20, do_sample=False)[0, len(ids) :]
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(decoder / "tokenizer.json"))
    found = model.generate("the film was", 20)
    assert found.text == words.decode(expected.tolist())
    assert found.prompt_tokens == len(ids) and found.tokens == len(expected)


def test_a_cache_can_be_rewound(model):
    ids = model.encode("the film was a triumph")
    cache = model.session.cache(40)
    first = model.session.step(cache, ids)
    model.session.step(cache, np.array([5, 6]))
    cache.rewind(len(ids) - 1)
    np.testing.assert_allclose(model.session.step(cache, ids[-1:]), first, atol=1e-5)


def test_the_same_seed_gives_the_same_text(model):
    options = {"temperature": 1.5, "top_k": 50, "top_p": 0.95}
    first = model.generate("the", 12, seed=3, **options)
    assert model.generate("the", 12, seed=3, **options) == first
    assert any(model.generate("the", 12, seed=seed, **options).text != first.text for seed in range(4, 9))


def test_pieces_of_the_stream_join_to_the_text(model):
    for seed in range(5):
        whole = model.generate("the", 20, temperature=1.0, seed=seed)
        pieces = list(model.stream("the", 20, temperature=1.0, seed=seed))
        assert "".join(pieces) == whole.text and all(pieces)


def test_stop_texts_are_cut_off(model):
    whole = model.generate("the film", 20).text
    assert len(whole) > 6
    stop = whole[3:6]
    found = model.generate("the film", 20, stop=[stop, "never to be seen"])
    assert found.text == whole[: whole.index(stop)] and found.stopped == "stop"
    assert "".join(model.stream("the film", 20, stop=stop)) == found.text


def test_the_end_token_ends(tmp_path, decoder_folder, model):
    token = int(model.session.logits(model.encode("the film"))[-1].argmax())
    shutil.copytree(decoder_folder, tmp_path / "copy")
    file = tmp_path / "copy/lighten.json"
    description = json.loads(file.read_text())
    description["generation"]["end_token_ids"] = [token]
    file.write_text(json.dumps(description))
    found = load_generator(tmp_path / "copy").generate("the film", 20)
    assert (found.text, found.tokens, found.stopped) == ("", 1, "end")


def test_no_more_tokens_than_the_model_reads(model):
    ids = model.encode("the film")
    found = model.generate("the film", 500)
    assert found.tokens <= 64 - len(ids)
    with pytest.raises(InputError, match="this model reads 64 at most"):
        model.generate("x" * 100, 5)


def test_messages_go_through_the_template(model):
    written = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    found = model.encode([{"role": "user", "content": "hi"}])
    np.testing.assert_array_equal(found, model.encode(written))
    assert found[0] == 1
    with pytest.raises(InputError, match="message 0"):
        model.generate([{"role": "user"}], 3)


def test_messages_without_jinja2(model, monkeypatch):
    original = builtins.__import__

    def without(name, *rest, **options):
        if name.startswith("jinja2"):
            raise ImportError(name)
        return original(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="need jinja2"):
        model.generate([{"role": "user", "content": "hi"}], 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("",), "empty"),
        (("a\ud800",), "no valid text"),
        (("a", 0), "max_new_tokens"),
    ],
)
def test_bad_requests(model, arguments, words):
    with pytest.raises(InputError, match=words):
        model.generate(*arguments)
    with pytest.raises(InputError, match=words):
        model.stream(*arguments)  # before anything is read from it


def test_bad_steps(model):
    cache = model.session.cache(4)
    for ids, words in [([], "0 ids"), ([5000], "from 0 to"), ([1] * 5, "room for 4")]:
        with pytest.raises(InputError, match=words):
            model.session.step(cache, np.array(ids, np.int64))
    assert cache.used == 0
    with pytest.raises(InputError, match="at most 64"):
        model.session.cache(65)


def test_log_probabilities_are_of_the_next_tokens(model):
    ids = model.encode("the film was a triumph")
    logits = model.session.logits(ids).astype(float)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    expected = [np.log(shares[i, ids[i + 1]]) for i in range(len(ids) - 1)]
    np.testing.assert_allclose(model.log_probabilities(ids), expected, atol=1e-5)


@pytest.mark.parametrize(("text", "stop", "length"), [("abc", ["cd"], 1), ("abc", ["bcd", "c"], 2), ("abc", ["x"], 0)])
def test_the_end_that_may_become_a_stop_text(text, stop, length):
    assert _overlap(text, stop) == length


def test_generating_needs_no_torch(decoder_folder):
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'transformers', 'onnx', 'pydantic', 'jinja2']));"
        "from lighten.runtime import load_generator;"
        f"print(load_generator({str(decoder_folder)!r}).generate('the film', 3).tokens)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and int(done.stdout) >= 1, done.stderr

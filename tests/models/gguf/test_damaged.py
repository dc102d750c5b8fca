"""Files that somebody made up: each is read, or refused in words; none ends in a traceback or fills the memory."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.helpers.decoders import byte_tokenizer, gguf_of, make_decoder, write_gguf

from lighten.errors import InputError
from lighten.models.gguf.convert import convert
from lighten.models.gguf.reader import GgufFile

CHANGES = {
    "alignment of zero": ({"general.alignment": 0}, "general.alignment is 0"),
    "alignment in words": ({"general.alignment": "wide"}, "general.alignment is 'wide'"),
    "list of alignments": ({"general.alignment": [32, 32]}, r"general.alignment is \[32, 32\]"),
    "alignment too large": ({"general.alignment": 2**31}, "general.alignment is 2147483648"),
    "list of heads": ({"llama.attention.head_count": [4, 4]}, r"head_count must be a whole number .* got \[4, 4\]"),
    "no head": ({"llama.attention.head_count": 0}, "head_count must be a whole number above zero; got 0"),
    "more layers": ({"llama.block_count": 3}, "the head says 3 layers, but tensors of them are missing"),
    "fewer layers": ({"llama.block_count": 1}, r"tensor blk\.1\.\w+\.weight has no place"),
    "a billion layers": ({"llama.block_count": 2**32 - 1}, "tensors of them are missing"),
    "another width": ({"llama.feed_forward_length": 7}, r"has the shape \(\d+, \d+\), but the head says"),
    "an epsilon in words": ({"llama.attention.layer_norm_rms_epsilon": "small"}, "must be a number above zero"),
    "an endless base": ({"llama.rope.freq_base": float("inf")}, "freq_base must be a number above zero; got inf"),
    "no tokens": ({"tokenizer.ggml.tokens": None}, "lacks tokenizer.ggml.tokens"),
    "tokens in one word": ({"tokenizer.ggml.tokens": "all"}, "lacks tokenizer.ggml.tokens"),
    "no merges": ({"tokenizer.ggml.merges": None}, "lacks tokenizer.ggml.merges"),
    "a merge of one": ({"tokenizer.ggml.merges": ["together"]}, "'together' are not two pieces"),
    "a merge of strangers": ({"tokenizer.ggml.merges": ["zzz qqq"]}, "the tokenizer cannot be made"),
    "too many tokens": ({"tokenizer.ggml.tokens": [str(i) for i in range(999)]}, "999 tokens, but the model knows"),
    "too few kinds": ({"tokenizer.ggml.token_type": [1, 1]}, "a list as long as the tokens"),
    "a way to split in numbers": ({"tokenizer.ggml.pre": 7}, "words are split as 7"),
}


@pytest.fixture(scope="module")
def model():
    return make_decoder(vocabulary=byte_tokenizer().get_vocab_size())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("gguf")


@pytest.mark.parametrize("name", CHANGES)
def test_what_the_head_says_wrongly_is_named(tmp_path, model, name):
    changes, words = CHANGES[name]
    with pytest.raises(InputError, match=words) as caught:
        convert(gguf_of(tmp_path / "a.gguf", model, **changes), tmp_path / "out")
    assert caught.value.exit_code == 2 and "a.gguf" in str(caught.value)


@pytest.mark.parametrize("missing", ["token_embd.weight", "output_norm.weight", "blk.1.ffn_up.weight"])
def test_a_missing_tensor_is_named(tmp_path, model, missing):
    file = gguf_of(tmp_path / "a.gguf", model)
    whole = GgufFile(file)
    tensors = {name: ("F32", tensor) for name, tensor in whole.tensors() if name != missing}
    write_gguf(tmp_path / "b.gguf", whole.values, tensors)
    with pytest.raises(InputError, match=f"tensor {missing} is missing"):
        convert(tmp_path / "b.gguf", tmp_path / "out")


def one_tensor(file: Path, shape: list[int], kind: int = 0, count: int = 1, data: int = 256) -> Path:
    """A file whose tensors all begin at the same byte."""
    head = b"GGUF" + struct.pack("<IQQ", 3, count, 0)
    for index in range(count):
        name = f"blk.{index}.attn_q.weight".encode()
        head += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(shape))
        head += b"".join(struct.pack("<Q", size) for size in shape) + struct.pack("<IQ", kind, 0)
    file.write_bytes(head + b"\0" * (-len(head) % 32) + b"\0" * data)
    return file


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ([], "has 0 dimensions"),
        ([1] * 5, "has 5 dimensions"),
        ([4, 0], "is empty"),
        ([2**32, 2**32], "together are larger than the file"),  # wraps to 0 in 64 bits
        ([2**63, 2], "together are larger than the file"),
    ],
)
def test_shapes_that_cannot_be(tmp_path, shape, words):
    with pytest.raises(InputError, match=words):
        list(GgufFile(one_tensor(tmp_path / "a.gguf", shape)).tensors())


def test_many_tensors_on_the_same_bytes_are_refused_before_they_are_read(tmp_path):
    file = one_tensor(tmp_path / "a.gguf", [32, 4096], kind=2, count=2000, data=4096 * 18)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="together are larger than the file"):
            GgufFile(file)
        assert tracemalloc.get_traced_memory()[1] < 20e6  # decoded they are a billion bytes
    finally:
        tracemalloc.stop()


def test_a_tensor_that_is_there_twice(tmp_path):
    file = write_gguf(tmp_path / "a.gguf", {}, {"one": ("F32", np.zeros(4)), "two": ("F32", np.ones(4))})
    file.write_bytes(file.read_bytes().replace(b"two", b"one"))
    with pytest.raises(InputError, match="tensor one is there twice"):
        GgufFile(file)


KEYS = [
    "general.alignment",
    "general.architecture",
    *(f"llama.{key}" for key in ("embedding_length", "block_count", "feed_forward_length", "context_length")),
    *(f"llama.attention.{key}" for key in ("head_count", "head_count_kv", "key_length", "layer_norm_rms_epsilon")),
    "llama.rope.freq_base",
    "llama.rope.scaling.type",
    *(f"tokenizer.ggml.{key}" for key in ("model", "pre", "tokens", "token_type", "merges")),
    *(f"tokenizer.ggml.{key}_token_id" for key in ("bos", "eos", "padding", "unknown")),
    "tokenizer.ggml.add_bos_token",
    "tokenizer.chat_template",
]
SINGLE = st.one_of(
    st.integers(0, 2**32 - 1), st.integers(0, 40), st.booleans(), st.floats(width=32), st.text(max_size=8)
)
LISTS = st.one_of(
    *(st.lists(kind, min_size=1, max_size=6) for kind in (st.integers(0, 9), st.text(max_size=6), st.floats(width=32)))
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(KEYS), st.none() | SINGLE | LISTS, min_size=1, max_size=2))
def test_any_values_in_the_head_are_read_or_refused(folder, model, changes):
    try:
        convert(gguf_of(folder / "a.gguf", model, **changes), folder / "out")
    except InputError as error:
        assert error.exit_code == 2


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), tail=st.booleans())
def test_any_byte_of_the_head_may_be_another(folder, model, place, byte, tail):
    whole = folder / "whole.gguf"
    if not whole.exists():
        gguf_of(whole, model)
    content = bytearray(whole.read_bytes())
    names = content.index(b"token_embd.weight")  # shapes, types and places of tensors follow
    at = names + int(place * 2500) if tail else int(place * names)
    content[at] = byte
    (folder / "b.gguf").write_bytes(content)
    try:
        convert(folder / "b.gguf", folder / "out")
    except InputError as error:
        assert error.exit_code == 2

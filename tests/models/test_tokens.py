"""Token ids of texts."""

from __future__ import annotations

import numpy as np
import pytest
from tests.helpers.checkpoints import sentences
from transformers import AutoTokenizer

from lighten.errors import InputError
from lighten.models.tokens import encode, fitting_length, lengths, read_tokenizer

TEXTS = [*sentences(10, seed=2)[0], "", "Boring filmings!", "good " * 50]


def test_ids_equal_transformers(bert):
    plain = AutoTokenizer.from_pretrained(bert)
    wanted = plain(TEXTS, truncation=True, max_length=20)["input_ids"]
    found = encode(read_tokenizer(bert), TEXTS, 20)
    assert [ids.tolist() for ids in found] == wanted
    assert {ids.dtype for ids in found} == {np.dtype(np.int32)}


def test_padding_and_truncation_of_the_file_are_forgotten(bert):
    """The fixture's file pads and cuts to 20 tokens."""
    tokenizer = read_tokenizer(bert)
    assert lengths(tokenizer, ["good", "good " * 50]).tolist() == [3, 52]


def test_the_closing_token_survives_the_cut(bert):
    tokenizer = read_tokenizer(bert)
    (ids,) = encode(tokenizer, ["good " * 50], 7)
    assert len(ids) == 7 and ids[-1] == tokenizer.token_to_id("[SEP]")


def test_lengths_are_untruncated_even_after_encoding(bert):
    tokenizer = read_tokenizer(bert)
    encode(tokenizer, TEXTS, 5)
    assert lengths(tokenizer, ["good " * 50]).tolist() == [52]


def test_a_damaged_file(tmp_path):
    with pytest.raises(InputError, match=r"tokenizer\.json: the tokenizer cannot be read"):
        read_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="the tokenizer cannot be read"):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("longest", "limit", "tokens"), [(3, 512, 128), (128, 512, 128), (129, 512, 256), (900, 512, 512), (50, 48, 48)]
)
def test_fitting_length(longest, limit, tokens):
    assert fitting_length(longest, limit) == tokens

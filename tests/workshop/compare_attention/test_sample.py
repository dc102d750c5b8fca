from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.checkpoints import vocabulary, write_tokenizer
from tests.workshop.compare_attention.samples import TINY

from lighten.errors import InputError
from lighten.progress import Progress
from lighten.workshop.compare_attention.sample import RandomTokens, Rows, read_rows, sample_of

PIECES = vocabulary(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(made)
    return made


def test_random_tokens_are_seeded_by_seed_and_length():
    drawn = RandomTokens(TINY, 0).draw(20, 3)
    assert [len(text) for text in drawn.ids] == [20] * 3 and drawn.joined == 0
    assert drawn == RandomTokens(TINY, 0).draw(20, 3) != RandomTokens(TINY, 1).draw(20, 3)
    assert all(10 <= number < TINY["vocab_size"] for text in drawn.ids for number in text)
    assert RandomTokens({"vocab_size": 4}, 0).draw(3, 1).ids == [[3, 3, 3]]


def test_long_rows_come_first_and_short_ones_are_joined(folder):
    rows = Rows(["good film", "bad " * 30, "the plot was dull"], folder, "here")
    bad, cls, sep = PIECES["bad"], PIECES["[CLS]"], PIECES["[SEP]"]
    drawn = rows.draw(8, 5)
    assert drawn.ids[0] == [cls, *[bad] * 6, sep]
    assert drawn.ids[1] == [cls, *(PIECES[word] for word in ["good", "film", "the", "plot", "was", "dull"]), sep]
    assert len(drawn.ids) == 2 and drawn.joined == 1
    assert rows.draw(8, 1).joined == 0 and rows.draw(8, 1).ids == drawn.ids[:1]
    assert rows.draw(100, 5).ids == [] == rows.draw(8, 0).ids


@given(lengths=st.lists(st.integers(0, 30), max_size=12), tokens=st.integers(2, 40), count=st.integers(1, 6))
def test_every_sequence_has_its_length_and_no_row_is_used_twice(folder, lengths, tokens, count):
    words = [word for word in PIECES if word.isalpha() and len(word) > 1]
    rows = Rows([" ".join([words[at % len(words)]] * n) for at, n in enumerate(lengths)], folder, "here")
    drawn = rows.draw(tokens, count)
    assert len(drawn.ids) <= count and 0 <= drawn.joined <= len(drawn.ids)
    assert all(len(text) == tokens for text in drawn.ids)
    for word in set(range(len(lengths))):
        piece = PIECES[words[word % len(words)]]
        assert sum(text.count(piece) for text in drawn.ids) <= lengths[word]


def test_rows_are_read_in_an_order_of_the_seed(folder, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("body\n" + "".join(f"{word}\n" for word in ("good", "bad", "dull", "", "warm", "funny")))
    found = read_rows(str(file), "body", folder, 0, Progress())
    expected = sorted([PIECES[word]] for word in ("good", "bad", "dull", "warm", "funny"))
    assert sorted(found.rows) == expected and found.source == str(file)
    assert read_rows(str(file), "body", folder, 0, Progress()).rows == found.rows
    assert any(read_rows(str(file), "body", folder, seed, Progress()).rows != found.rows for seed in range(1, 5))
    with pytest.raises(InputError, match="boddy"):
        read_rows(str(file), "boddy", folder, 0, Progress())


def test_without_weights_there_is_nothing_to_agree(folder):
    for place, words in ((None, "--model"), (folder, "no model.safetensors")):
        sample, why = sample_of(place, TINY, None, "text", 0, Progress())
        assert sample is None and words in why
        with pytest.raises(InputError, match=words):
            sample_of(place, TINY, "rows.csv", "text", 0, Progress())

"""Tokenised texts on disk: what comes out is what the tokenizer says."""

from __future__ import annotations

import functools
import json
import operator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.checkpoints import sentences

from lighten.errors import BuildError, InputError
from lighten.models.tokens import encode, read_tokenizer
from lighten.train.datasets import tokenised as writing
from lighten.train.datasets.dataset import TextRows
from lighten.train.datasets.packed import PackedBlocks
from lighten.train.datasets.token_store import FlatTokens, TokenStore
from lighten.train.datasets.tokenised import tokenised

TEXTS = [*sentences(50, seed=2)[0], "", "film"]


@pytest.fixture
def tokenizer(bert):
    return read_tokenizer(bert)


@pytest.mark.parametrize("shard_tokens", [2**26, 60])
def test_a_store_is_the_list_of_ids(tmp_path, tokenizer, shard_tokens, monkeypatch):
    monkeypatch.setattr(writing, "CHUNK", 7)
    wanted = encode(tokenizer, TEXTS, 9)
    store = tokenised(tmp_path, tokenizer, TEXTS, 9, shard_tokens=shard_tokens)
    assert (len(store.shards) == 1) == (shard_tokens == 2**26)
    assert len(store) == len(wanted) and all(np.array_equal(a, b) for a, b in zip(store, wanted, strict=True))
    assert store[3].dtype == np.int32 and np.array_equal(store[-1], wanted[-1])
    assert [ids.tolist() for ids in store[2:5]] == [ids.tolist() for ids in wanted[2:5]]
    assert store.flat[:].tolist() == np.concatenate(wanted).tolist() and len(store.flat) == len(store.flat[:])
    assert store.lengths.tolist() == [len(ids) for ids in wanted]
    store.verify()
    with pytest.raises(IndexError):
        store[len(wanted)]


def test_rows_and_blocks_take_a_store(tmp_path, tokenizer):
    wanted = encode(tokenizer, TEXTS, 9)
    store = tokenised(tmp_path, tokenizer, TEXTS, 9, shard_tokens=60)
    index = np.array([3, 0, 51])
    for limit in (None, 4):
        found, right = (TextRows(some, 0).batch(index, limit=limit) for some in (store, wanted))
        assert found.ids.tolist() == right.ids.tolist()
    joined = np.concatenate(wanted)
    found, right = (PackedBlocks(some, 13, store.starts).batch(np.array([0, 7])) for some in (store.flat, joined))
    assert found.ids.tolist() == right.ids.tolist() and found.units == right.units


def test_it_is_written_once_and_again_for_anything_else(tmp_path, tokenizer, monkeypatch):
    first = tokenised(tmp_path, tokenizer, TEXTS, 9)
    monkeypatch.setattr(writing, "_Writer", None)  # writing again would fail
    assert tokenised(tmp_path, tokenizer, TEXTS, 9).folder == first.folder
    monkeypatch.undo()
    others = [
        tokenised(tmp_path, tokenizer, TEXTS, 8),
        tokenised(tmp_path, tokenizer, TEXTS, None),
        tokenised(tmp_path, tokenizer, TEXTS[:-1], 9),
        tokenised(tmp_path, tokenizer, TEXTS, 9, end_id=1),
        tokenised(tmp_path, tokenizer, TEXTS, 9, special=False),
        tokenised(tmp_path, tokenizer, [TEXTS[0] + TEXTS[1], *TEXTS[2:]], 9),
    ]
    assert len({store.folder for store in [first, *others]}) == 7
    assert len(others[4][-1]) == 1 and others[3][-1].tolist() == [*first[-1].tolist(), 1]
    with pytest.raises(InputError, match="end token"):
        tokenised(tmp_path, tokenizer, TEXTS, 9, end_id=10_000)


def test_a_torn_store_is_made_again_and_a_damaged_one_is_noticed(tmp_path, tokenizer):
    store = tokenised(tmp_path, tokenizer, TEXTS, 9)
    file = store.folder / "shard-00000.tokens"
    content = file.read_bytes()
    file.write_bytes(content[:-2])
    with pytest.raises(ValueError, match="bytes"):
        TokenStore(store.folder)
    assert tokenised(tmp_path, tokenizer, TEXTS, 9).folder == store.folder and file.read_bytes() == content
    file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(ValueError, match="damaged"):
        TokenStore(store.folder).verify()
    index = json.loads((store.folder / "index.json").read_text())
    (store.folder / "index.json").write_text(json.dumps({**index, "format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        TokenStore(store.folder)


def test_a_writer_that_fails_leaves_nothing(tmp_path, tokenizer, monkeypatch):
    def full(self, ids):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing._Writer, "add", full)
    with pytest.raises(BuildError, match="No space left"):
        tokenised(tmp_path, tokenizer, TEXTS, 9)
    assert list(tmp_path.iterdir()) == []


def test_no_texts(tmp_path: Path, tokenizer):
    store = tokenised(tmp_path, tokenizer, [])
    assert len(store) == 0 and len(store.flat) == 0 and list(store) == []


@given(st.lists(st.lists(st.integers(0, 99), max_size=6), min_size=1, max_size=6), st.data())
def test_slices_across_files(parts, data):
    maps = [np.array(part, np.uint16) for part in parts]
    flat = FlatTokens(maps, np.cumsum([0, *map(len, maps)]))
    whole = functools.reduce(operator.iadd, parts, [])
    place = slice(data.draw(st.integers(-5, 40)), data.draw(st.integers(-5, 40)))
    assert flat[place].tolist() == whole[place] and flat[place].dtype == np.int32

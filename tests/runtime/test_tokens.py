import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lighten.errors import InputError
from lighten.runtime.tokens import Tokenizer, pad, plan_batches


@pytest.fixture(scope="module")
def tokenizer(shared_model_folder):
    return Tokenizer(shared_model_folder / "tokenizer.json", max_tokens=6)


def test_cuts_and_says_so(tokenizer):
    short, exact, long = tokenizer(["a triumph", "a great warm film", "a great warm film it is"])
    assert len(short.ids) == 4 and not short.truncated
    assert len(exact.ids) == 6 and not exact.truncated
    assert len(long.ids) == 6 and long.truncated
    assert long.ids[-1] == exact.ids[-1] == 3  # [SEP] survives the cut


def test_alone_or_together_gives_the_same_ids(tokenizer):
    texts = ["a triumph", "", "a dull, boring mess of a movie"]
    for text, together in zip(texts, tokenizer(texts), strict=True):
        (alone,) = tokenizer([text])
        assert alone.ids.tolist() == together.ids.tolist()
        assert alone.truncated == together.truncated


def test_lowercase_is_done_before_the_tokenizer(tmp_path, shared_model_folder):
    import json

    content = json.loads((shared_model_folder / "tokenizer.json").read_text())
    content["normalizer"]["lowercase"] = False
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(content))
    kept = Tokenizer(file, 16)(["GREAT"])[0].ids.tolist()
    lowered = Tokenizer(file, 16, lowercase=True)(["GREAT"])[0].ids.tolist()
    assert kept != lowered == Tokenizer(file, 16)(["great"])[0].ids.tolist()


def test_a_lone_surrogate_is_named(tokenizer):
    with pytest.raises(InputError, match="text 1: no valid Unicode"):
        tokenizer(["fine", "bad \ud800"])
    with pytest.raises(InputError, match="text 0: no valid Unicode"):
        tokenizer(["bad \ud800"])


def test_max_tokens_must_leave_room_for_text(shared_model_folder):
    with pytest.raises(InputError, match="special tokens alone are 2"):
        Tokenizer(shared_model_folder / "tokenizer.json", max_tokens=2)


def test_a_damaged_tokenizer_is_named(tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer\.json: the tokenizer cannot be read"):
        Tokenizer(file, 16)


@given(
    st.lists(st.integers(1, 300), max_size=60),
    st.integers(1, 1000),
    st.one_of(st.none(), st.integers(1, 8)),
)
@settings(deadline=None)
def test_batches_hold_every_text_once_within_the_budget(lengths, budget, max_batch):
    batches = plan_batches(lengths, budget, max_batch)
    assert sorted(int(i) for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[i] for i in batch)
        assert padded <= budget or len(batch) == 1
        assert max_batch is None or len(batch) <= max_batch
    flat = [lengths[i] for batch in batches for i in batch]
    assert flat == sorted(flat)
    # No two neighbours could have been one batch: the grouping wastes nothing.
    for first, second in itertools.pairwise(batches):
        full = max_batch is not None and len(first) == max_batch
        assert full or (len(first) + 1) * lengths[second[0]] > budget


@given(st.lists(st.lists(st.integers(1, 50), min_size=0, max_size=9), min_size=1, max_size=6))
def test_padding_can_be_undone(rows):
    ids, mask = pad([np.array(row, np.int64) for row in rows], pad_token_id=0)
    assert ids.shape == mask.shape and ids.dtype == mask.dtype == np.int64
    for row, padded, real in zip(rows, ids, mask, strict=True):
        assert padded[real == 1].tolist() == row
        assert not padded[real == 0].any()

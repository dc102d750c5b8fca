"""Trimmed tokenizers: the task's texts are cut as before, other words into shorter pieces."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.checkpoints import LETTERS, SPECIAL, sentences, vocabulary, write_model
from tokenizers import Tokenizer, models
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.pieces import can_trim, choose_pieces, write_trimmed
from lighten.models.slicing import keep_pieces
from lighten.models.tokens import encode, read_tokenizer

CORPUS = [*sentences(40, seed=1)[0], "A filming scene, plotted warmly!", "is it?"]


def ids_of(folder: Path, texts: list[str]):
    return encode(read_tokenizer(folder), texts, 40)


def trim(source: Path, target: Path, size="used") -> list[int]:
    kept = choose_pieces(source, ids_of(source, CORPUS), size)
    target.mkdir(exist_ok=True)
    write_trimmed(source, target, kept)
    write_checkpoint(target, *keep_pieces(read_config(source), read_state(source), kept), tokenizer=None)
    return kept


@pytest.fixture(scope="module", params=["template", "bert"])
def source(request, tmp_path_factory) -> Path:
    """A BERT whose padding is not the first piece, with either kind of post-processor."""
    return write_model(tmp_path_factory.mktemp("source") / "m", "bert", padding=2, processor=request.param)


@pytest.fixture(scope="module")
def trimmed(source, tmp_path_factory) -> tuple[Path, list[int]]:
    folder = tmp_path_factory.mktemp("trimmed") / "m"
    return folder, trim(source, folder)


def test_the_corpus_is_cut_as_before(source, trimmed):
    folder, kept = trimmed
    assert kept == sorted(set(kept)) and len(kept) < len(vocabulary(2))
    for before, after in zip(ids_of(source, CORPUS), ids_of(folder, CORPUS), strict=True):
        np.testing.assert_array_equal(np.array(kept)[after], before)
    for text in CORPUS:
        assert read_tokenizer(source).encode(text).tokens == read_tokenizer(folder).encode(text).tokens


def test_unused_pieces_are_gone_and_special_ones_stay(trimmed):
    folder, kept = trimmed
    pieces = read_tokenizer(folder).get_vocab()
    assert len(pieces) == len(kept) and sorted(pieces.values()) == list(range(len(kept)))
    assert not any("unused" in piece for piece in pieces) and "##ness" not in pieces
    assert set(SPECIAL) <= set(pieces) and {f"##{letter}" for letter in LETTERS} <= set(pieces)


def test_an_unseen_word_falls_back_to_shorter_pieces(source, trimmed):
    folder, _ = trimmed
    assert read_tokenizer(source).encode("dullness").tokens == ["[CLS]", "dull", "##ness", "[SEP]"]
    assert read_tokenizer(folder).encode("dullness").tokens == [
        "[CLS]",
        "dull",
        *(["##n", "##e", "##s", "##s"]),
        "[SEP]",
    ]


@given(st.text(LETTERS, min_size=1, max_size=15))
def test_no_word_of_known_letters_is_unknown(trimmed, word):
    folder, _ = trimmed
    tokens = read_tokenizer(folder).encode(word).tokens
    assert "[UNK]" not in tokens and "".join(t.removeprefix("##") for t in tokens[1:-1]) == word


def test_the_post_processor_writes_the_new_ids(trimmed):
    folder, _ = trimmed
    tokenizer = read_tokenizer(folder)
    ids = tokenizer.encode("good").ids
    assert ids == [tokenizer.token_to_id(piece) for piece in ("[CLS]", "good", "[SEP]")]
    pair = tokenizer.encode("good", "bad")
    assert pair.tokens == ["[CLS]", "good", "[SEP]", "bad", "[SEP]"] and pair.ids[0] == ids[0]


def test_special_tokens_in_a_text_have_the_new_ids(trimmed):
    folder, _ = trimmed
    tokenizer = read_tokenizer(folder)
    assert tokenizer.encode("[MASK] [UNK]", add_special_tokens=False).ids == [
        tokenizer.token_to_id("[MASK]"),
        tokenizer.token_to_id("[UNK]"),
    ]


def test_transformers_loads_it_and_cuts_alike(trimmed):
    folder, kept = trimmed
    plain = AutoTokenizer.from_pretrained(folder)
    assert len(plain) == len(kept)
    assert plain.pad_token_id == read_config(folder)["pad_token_id"] == 0
    assert plain.convert_tokens_to_ids(SPECIAL) == [read_tokenizer(folder).token_to_id(token) for token in SPECIAL]
    for text, ids in zip(CORPUS, ids_of(folder, CORPUS), strict=True):
        assert plain(text)["input_ids"] == ids.tolist()


def test_logits_stay_what_they_were(source, trimmed):
    folder, _ = trimmed
    results = []
    for where in (source, folder):
        model = AutoModelForSequenceClassification.from_pretrained(where).eval()
        tokenizer = AutoTokenizer.from_pretrained(where)
        batch = tokenizer(CORPUS, padding=True, return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            results.append(model(**batch).logits.numpy())
    np.testing.assert_array_equal(*results)


def test_trimming_again_changes_nothing(trimmed, tmp_path):
    folder, kept = trimmed
    assert trim(folder, tmp_path / "again") == list(range(len(kept)))
    assert json.loads((tmp_path / "again/tokenizer.json").read_text()) == json.loads(
        (folder / "tokenizer.json").read_text()
    )


def test_a_number_keeps_the_most_frequent(source, tmp_path):
    used = choose_pieces(source, ids_of(source, CORPUS), "used")
    must = choose_pieces(source, [], "used")
    size = len(must) + 3
    kept = trim(source, tmp_path / "m", size)
    assert len(kept) == size and set(must) < set(kept) < set(used)
    counts = np.bincount(np.concatenate(ids_of(source, CORPUS)), minlength=len(vocabulary(2)))
    chosen, left = set(kept) - set(must), set(used) - set(kept)
    assert min(counts[list(chosen)]) >= max(counts[list(left)])
    # The question mark is unknown to the whole tokenizer; nothing else became so.
    for text in CORPUS:
        unknown = [read_tokenizer(folder).encode(text).tokens.count("[UNK]") for folder in (source, tmp_path / "m")]
        assert unknown[0] == unknown[1] == text.count("?")


def test_too_few_pieces(source):
    must = len(choose_pieces(source, [], "used"))
    with pytest.raises(InputError, match=f"vocabulary: {must} pieces are too few: {must} special tokens"):
        choose_pieces(source, [], must)


def test_full_keeps_all(source):
    assert choose_pieces(source, [], "full") == list(range(len(vocabulary(2))))


def test_added_tokens_behind_the_vocabulary_stay(tmp_path, bert):
    """A tokenizer that was given new tokens lists them outside of the model's own vocabulary."""
    folder = shutil.copytree(bert, tmp_path / "m")
    plain = AutoTokenizer.from_pretrained(folder)
    plain.add_tokens(["tic-tac"])
    plain.save_pretrained(folder)
    added = len(vocabulary(0))
    for size in ("used", "full"):
        kept = choose_pieces(folder, ids_of(folder, CORPUS), size)
        assert kept[-1] == added
        (tmp_path / size).mkdir()
        write_trimmed(folder, tmp_path / size, kept)
        tokenizer = read_tokenizer(tmp_path / size)
        assert tokenizer.encode("a tic-tac").tokens == ["[CLS]", "a", "tic-tac", "[SEP]"]
        assert tokenizer.encode("a tic-tac").ids[2] == len(kept) - 1


def test_special_tokens_known_to_the_post_processor_alone_stay(tmp_path, bert):
    content = json.loads((bert / "tokenizer.json").read_text())
    content["added_tokens"] = []
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "config.json").write_text(json.dumps({"pad_token_id": 0}))
    pieces = vocabulary(0)
    kept = choose_pieces(tmp_path, [], "used")
    assert {0, pieces["[UNK]"], pieces["[CLS]"], pieces["[SEP]"]} <= set(kept) and pieces["[MASK]"] not in kept


def test_other_tokenizers_cannot_be_trimmed(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert not can_trim(tmp_path)
    with pytest.raises(InputError, match=r"a WordLevel tokenizer cannot be trimmed, only BPE, Unigram, WordPiece"):
        choose_pieces(tmp_path, [], "used")


def test_a_missing_unknown_token(tmp_path):
    Tokenizer(models.WordPiece({"a": 0, "b": 1}, unk_token="[UNK]")).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(InputError, match=r"the unknown token '\[UNK\]' is not in the vocabulary"):
        choose_pieces(tmp_path, [], "used")


def test_nothing_is_left(tmp_path):
    Tokenizer(models.BPE({"ab": 0, "cd": 1}, [])).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(InputError, match="no piece is left"):
        choose_pieces(tmp_path, [], "used")


def test_a_damaged_tokenizer(tmp_path, bert):
    assert can_trim(bert)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer\.json: not valid JSON"):
        can_trim(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="a nameless tokenizer cannot be trimmed"):
        choose_pieces(tmp_path, [], "used")

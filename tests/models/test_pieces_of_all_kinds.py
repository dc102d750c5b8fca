"""Trimmed BPE, Unigram and WordPiece tokenizers: the same pieces for the corpus, in plain transformers too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.trained_tokenizers import KINDS, SPECIAL, TEXT, train, write_trained
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, LlamaConfig

from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.decoder.slicing import slicing_for
from lighten.models.pieces import choose_pieces, write_trimmed
from lighten.models.tokens import encode, read_tokenizer
from lighten.pipeline.files import read_json, write_json

WORDS = sorted({word for text in TEXT for word in text.split()})
CORPUS = ["great films are boringly filmed, unlike warmth!", "a mess of plots", "unlikely weather; <mask> 14 aaa", ""]
texts_of = st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=6)), max_size=8).map(" ".join)


def save(folder: Path, kind: str) -> Path:
    folder.mkdir()
    train(kind).save(str(folder / "tokenizer.json"))
    return folder


def trim(source: Path, target: Path, corpus=CORPUS, size="used") -> list[int]:
    kept = choose_pieces(source, encode(read_tokenizer(source), corpus, 1000), size)
    target.mkdir(exist_ok=True)
    write_trimmed(source, target, kept)
    return kept


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def whole(kind, tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("whole") / "m", kind)


@pytest.fixture(scope="module")
def small(whole, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "m"
    trim(whole, folder)
    return folder


def test_the_kinds_are_worth_a_test(kind, whole):
    """Long pieces are made in several merges, and the corpus has some."""
    tokens = [token for text in CORPUS for token in read_tokenizer(whole).encode(text).tokens]
    assert max(map(len, tokens)) >= 6 and read_tokenizer(whole).get_vocab_size() > 150


@settings(max_examples=40, deadline=None)
@given(corpus=st.lists(texts_of, max_size=6))
def test_any_corpus_is_cut_as_before(whole, tmp_path_factory, corpus):
    folder = tmp_path_factory.mktemp("any")
    kept = trim(whole, folder, corpus)
    before, after = read_tokenizer(whole), read_tokenizer(folder)
    assert after.get_vocab_size() == len(kept) == len(set(kept))
    for text in corpus:
        first, second = before.encode(text), after.encode(text)
        assert first.tokens == second.tokens and first.offsets == second.offsets
        assert [kept[i] for i in second.ids] == first.ids


@settings(max_examples=60, deadline=None)
@given(text=texts_of)
def test_unseen_text_comes_back(kind, whole, small, text):
    """Bytes lose nothing; other kinds know every ASCII letter that they knew before."""
    before, after = read_tokenizer(whole), read_tokenizer(small)
    if kind in ("bytes", "gpt2", "ignoring", "fallback"):
        again = after.decode(after.encode(text, add_special_tokens=False).ids, skip_special_tokens=False)
        assert again == before.decode(before.encode(text, add_special_tokens=False).ids, skip_special_tokens=False)
        assert again == text
    elif text.isascii():
        unknown = [tokenizer.encode(text).tokens.count("<unk>") for tokenizer in (before, after)]
        assert unknown[0] == unknown[1]


@pytest.mark.parametrize("more", [1, 7, 20])
def test_a_number_keeps_the_most_used(kind, whole, tmp_path, more):
    used, least = set(trim(whole, tmp_path / "used", TEXT)), len(choose_pieces(whole, [], "used"))
    if kind in ("fallback", "unigram"):  # the characters of the texts count among what must stay
        with pytest.raises(InputError, match="pieces are too few") as said:
            trim(whole, tmp_path / "none", TEXT, 1)
        least = int(str(said.value).split("too few: ")[1].split()[0])
    kept = trim(whole, tmp_path / "some", TEXT, least + more)
    assert len(kept) == least + more and set(kept) < used
    names = {i: piece for piece, i in read_tokenizer(whole).get_vocab().items()}
    models = [read_tokenizer(folder).model for folder in (whole, tmp_path / "some")]
    for piece in (names[i] for i in kept if not names[i].startswith("<")):
        if kind == "wordpiece" or (kind == "suffix" and not piece.endswith("</w>")):
            continue  # it stands inside of words only
        first, second = (model.tokenize(piece.removesuffix("</w>")) for model in models)
        assert [token.value for token in first] == [token.value for token in second]


def test_special_tokens_have_the_new_ids(whole, small):
    before, after = read_tokenizer(whole), read_tokenizer(small)
    assert [after.token_to_id(name) for name in SPECIAL] == [0, 1, 2, 3]
    assert before.encode("a", "b").tokens == after.encode("a", "b").tokens
    assert after.encode("a <mask>").tokens == before.encode("a <mask>").tokens
    content = json.loads((small / "tokenizer.json").read_text())
    if content["model"]["type"] == "Unigram":
        assert content["model"]["unk_id"] == 3 and content["model"]["vocab"][3][0] == "<unk>"


def test_trimming_again_changes_nothing(small, tmp_path):
    assert trim(small, tmp_path) == list(range(read_tokenizer(small).get_vocab_size()))
    assert (tmp_path / "tokenizer.json").read_bytes() == (small / "tokenizer.json").read_bytes()


def test_unigram_the_price_of_the_unknown_stays(tmp_path):
    whole = save(tmp_path / "m", "unigram")
    content = read_json(whole / "tokenizer.json")
    lowest = min(content["model"]["vocab"], key=lambda entry: entry[1])
    assert lowest[0] not in read_tokenizer(whole).encode("great").tokens
    trim(whole, tmp_path / "s", ["great"])
    assert lowest in read_json(tmp_path / "s/tokenizer.json")["model"]["vocab"]


def test_unigram_what_lies_before_the_unknown_token_stays(tmp_path):
    """CamemBERT's list begins with names that no text and no file uses; its class counts on the places."""
    content = read_json(save(tmp_path / "m", "unigram") / "tokenizer.json")
    content["added_tokens"] = content["added_tokens"][:1]
    content["post_processor"] = None
    write_json(tmp_path / "m/tokenizer.json", content)
    assert {0, 1, 2, 3} <= set(choose_pieces(tmp_path / "m", [], "used"))


def test_older_merges_are_strings(tmp_path):
    whole = save(tmp_path / "m", "bytes")
    trim(whole, tmp_path / "new")
    content = read_json(whole / "tokenizer.json")
    content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
    write_json(whole / "tokenizer.json", content)
    trim(whole, tmp_path / "old")
    new, old = (read_json(tmp_path / name / "tokenizer.json")["model"] for name in ("new", "old"))
    assert [" ".join(pair) for pair in new["merges"]] == old["merges"] and new["vocab"] == old["vocab"]


def test_other_forms_are_left_out_and_named(tmp_path):
    whole = save(tmp_path / "m", "unigram")
    for name in ("sentencepiece.bpe.model", "vocab.txt"):
        (whole / name).write_text("stale")
    (tmp_path / "s").mkdir()
    assert write_trimmed(whole, tmp_path / "s", choose_pieces(whole, [], "full")) == [
        "sentencepiece.bpe.model",
        "vocab.txt",
    ]
    assert [file.name for file in (tmp_path / "s").iterdir()] == ["tokenizer.json"]


def test_ids_with_gaps_are_refused(tmp_path):
    whole = save(tmp_path / "m", "bytes")
    content = read_json(whole / "tokenizer.json")
    vocabulary = content["model"]["vocab"]
    content["model"]["vocab"] = {piece: i + (i > 300) for piece, i in vocabulary.items()}
    content["added_tokens"].append({**content["added_tokens"][0], "content": "<new>", "id": 301})
    write_json(whole / "tokenizer.json", content)
    with pytest.raises(InputError, match="the ids have gaps"):
        trim(whole, tmp_path / "s", size="full")


@pytest.mark.parametrize(
    ("kind", "model", "loader"),
    [
        ("bytes", "roberta", "RobertaTokenizerFast"),
        ("bytes", "roberta", "PreTrainedTokenizerFast"),
        ("unigram", "xlm-roberta", "XLMRobertaTokenizerFast"),
        ("unigram", "camembert", "PreTrainedTokenizerFast"),
        ("suffix", "bert", "PreTrainedTokenizerFast"),
        ("fallback", "electra", "PreTrainedTokenizerFast"),
        ("wordpiece", "distilbert", "PreTrainedTokenizerFast"),
    ],
)
def test_a_classifier_answers_as_before_in_plain_transformers(tmp_path, kind, model, loader):
    source = write_trained(tmp_path / "m", kind, model, loader)
    corpus = [*TEXT[::40], *CORPUS]
    kept = trim(source, tmp_path / "s", corpus)
    config = read_config(source)
    cut = slicing_for(config).keep_pieces(config, read_state(source), kept)
    write_checkpoint(tmp_path / "s", *cut, tokenizer=None)
    logits = []
    for folder in (source, tmp_path / "s"):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        for text, ids in zip(corpus, encode(read_tokenizer(folder), corpus, 40), strict=True):
            assert tokenizer(text)["input_ids"] == ids.tolist()
        classifier = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        assert classifier.config.pad_token_id == tokenizer.pad_token_id
        assert len(tokenizer) == classifier.config.vocab_size
        batch = tokenizer(corpus, padding=True, return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            logits.append(classifier(**batch).logits.numpy())
    np.testing.assert_array_equal(*logits)
    settings = read_json(tmp_path / "s/tokenizer_config.json")
    assert settings.get("mask_token") == "<mask>" and tokenizer.mask_token_id == len(kept) - 1


@pytest.mark.parametrize("tied", [True, False])
def test_a_decoder_predicts_as_before(tmp_path, tied):
    source = save(tmp_path / "m", "ignoring")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    count = read_tokenizer(source).get_vocab_size() + 7  # tables are often longer than the vocabulary
    config = LlamaConfig(vocab_size=count, tie_word_embeddings=tied, bos_token_id=0, eos_token_id=[2, 3], **sizes)
    AutoModelForCausalLM.from_config(config).save_pretrained(source)
    kept = trim(source, tmp_path / "s")
    read = read_config(source)
    write_checkpoint(tmp_path / "s", *slicing_for(read).keep_pieces(read, read_state(source), kept), tokenizer=None)
    logits = []
    for folder in (source, tmp_path / "s"):
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        ids = torch.tensor([read_tokenizer(folder).encode(CORPUS[0]).ids])
        with torch.no_grad():
            logits.append(model(ids).logits.numpy())
    np.testing.assert_allclose(logits[0][..., kept], logits[1], atol=1e-6)
    assert model.config.eos_token_id == [2, 3]
    assert read_json(tmp_path / "s/generation_config.json")["eos_token_id"] == [2, 3]

"""`lighten train` on language models and summaries, from scratch."""

from __future__ import annotations

import numpy as np
import pytest
from tests.tasks.conftest import weights_of, write_csv, write_language_model

import lighten
from lighten.errors import InputError

WORDS = ["the", "film", "was", "great", "and", "the", "movie", "is", "dull", "of", "a", "mess"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Sentences that follow a pattern: the next word is nearly certain."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(150):
        start = int(rng.integers(len(WORDS)))
        rows.append(" ".join([WORDS[(start + i) % len(WORDS)] for i in range(20)] + [str(number)]))
    return write_csv(tmp_path_factory.mktemp("texts") / "texts.csv", {"text": rows, "summary": [r[:12] for r in rows]})


def recipe(texts, model, task="language-modeling", data=None, **train):
    how = {"from_scratch": True, "epochs": 6, "learning_rate": 5e-3, "precision": "fp32", "tokens_per_batch": 256}
    return {
        "task": task,
        "data": {"train": str(texts), "text": "text", "prepare": [], **(data or {})},
        "model": str(model),
        "train": {**how, **train},
    }


@pytest.mark.parametrize(
    ("kind", "train"),
    [
        ("llama", {}),
        ("llama", {"block": 32}),
        ("llama", {"segment": 16, "memory": 32}),
        ("bert", {}),
        ("bert", {"block": 48}),
    ],
    ids=["causal", "packed", "stream", "masked", "masked-packed"],
)
def test_perplexity_falls(texts, tmp_path, kind, train):
    model = write_language_model(tmp_path / "model", kind)
    result = lighten.train(recipe(texts, model, **train), tmp_path / "run")
    looks = [-entry["validation"] for entry in result["training"]["history"] if entry["validation"] is not None]
    assert looks[-1] < 0.8 * looks[0]
    quality = result["quality"]
    assert quality["metric"] == "perplexity" and quality["test"]["value"] < 40
    assert result["data"]["objective"] == ("masked" if kind == "bert" else "causal")
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    home = AutoModelForMaskedLM if kind == "bert" else AutoModelForCausalLM
    _, info = home.from_pretrained(result.model_folder, output_loading_info=True)
    assert not info["missing_keys"]


def test_continued_training_starts_where_the_first_ended(texts, tmp_path):
    model = write_language_model(tmp_path / "model", "llama")
    first = lighten.train(recipe(texts, model), tmp_path / "one")
    second = lighten.train(
        recipe(texts, first.model_folder, from_scratch=False, epochs=1, learning_rate=1e-4), tmp_path / "two"
    )
    known = first["quality"]["validation"]["value"]
    assert second["quality"]["validation"]["value"] == pytest.approx(known, rel=0.2)
    assert weights_of(second.model_folder).keys() == weights_of(first.model_folder).keys()


def test_summaries(texts, tmp_path):
    model = write_language_model(tmp_path / "model", "bart")
    result = lighten.train(
        recipe(texts, model, "summarization", {"summary": "summary"}, epochs=10, learning_rate=1e-2), tmp_path / "run"
    )
    looks = [-entry["validation"] for entry in result["training"]["history"] if entry["validation"] is not None]
    assert looks[-1] < 0.6 * looks[0] and result["quality"]["watched"] == "perplexity"
    from transformers import AutoModelForSeq2SeqLM

    AutoModelForSeq2SeqLM.from_pretrained(result.model_folder)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"summary": "sumary"}, "did you mean 'summary'"),
        ({"text": "txt", "summary": "summary"}, "did you mean 'text'"),
    ],
)
def test_a_misspelt_column(texts, tmp_path, data, message):
    model = write_language_model(tmp_path / "model", "bart")
    with pytest.raises(InputError, match=message):
        lighten.train(recipe(texts, model, "summarization", data), tmp_path / "run")


def test_a_stream_needs_a_rotary_model(texts, tmp_path):
    from transformers import GPT2Config

    model = write_language_model(tmp_path / "model", "llama")
    GPT2Config(vocab_size=100, n_embd=32, n_layer=1, n_head=2, n_positions=64).save_pretrained(model)
    with pytest.raises(InputError, match="position"):
        lighten.train(recipe(texts, model, segment=16), tmp_path / "run")


def test_held_out_text_may_be_more_than_is_judged(texts, tmp_path):
    """Whole documents drawn with the seed; twice as many tokens in the test; all of them where it is asked for."""
    model = write_language_model(tmp_path / "model", "llama")
    some = lighten.train(recipe(texts, model, epochs=1, held_out_tokens=60), tmp_path / "some")
    judged = some["data"]["judged_on"]
    assert judged["validation"]["texts"] < judged["test"]["texts"] < 30
    assert 60 <= judged["validation"]["tokens"] < 120 <= judged["test"]["tokens"] < 200
    whole = lighten.train(recipe(texts, model, epochs=1), tmp_path / "whole")
    assert "judged_on" not in whole["data"]
    assert some["quality"]["validation"]["n"] < whole["quality"]["validation"]["n"]


@pytest.mark.parametrize(
    ("kind", "train"),
    [("llama", {"block": 16}), ("llama", {"segment": 16}), ("bert", {"max_tokens": 16})],
    ids=["packed", "stream", "masked"],
)
def test_texts_are_tokenised_once_and_read_from_disk(texts, tmp_path, monkeypatch, kind, train):
    """The rows are those of the tokenizer itself; another attempt tokenises nothing."""
    from lighten.tasks import language
    from lighten.train.datasets import tokenised as room
    from lighten.train.datasets.token_store import FlatTokens, TokenStore

    made, writers = [], []
    init, add = language.LanguageModeling.__init__, room._Writer.add
    task_of = language.LanguageModeling
    monkeypatch.setattr(task_of, "__init__", lambda self, job: (made.append(self), init(self, job))[1])
    monkeypatch.setattr(room._Writer, "add", lambda self, ids: (writers.append(1), add(self, ids))[1])
    model = write_language_model(tmp_path / "model", kind)
    lighten.train(recipe(texts, model, epochs=0.1, **train), tmp_path / "run")
    task, written = made[0], len(writers)
    assert written == 150 and all(isinstance(task.encoded[part], TokenStore) for part in language.PARTS)
    tokenizer = language.read_tokenizer(model)
    masked = kind == "bert"
    documents = [
        item.ids for item in tokenizer.encode_batch_fast(task.job.examples("train").texts, add_special_tokens=masked)
    ]
    rows = task.datasets["train"]
    if masked:
        assert max(len(ids) for ids in rows.encoded) <= 16 and rows.encoded[0].tolist()[0] == documents[0][0]
        assert sum(len(ids) - 2 for ids in rows.encoded) == sum(len(ids) - 2 for ids in documents)
    else:
        assert isinstance(rows.tokens, FlatTokens)
        assert rows.tokens[:].tolist() == [token for ids in documents for token in [*ids, 3]]
    lighten.train(recipe(texts, model, epochs=0.1, **train), tmp_path / "run", restart=True)
    assert len(writers) == written

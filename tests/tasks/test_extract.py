"""Extractive summaries end to end: the sentence that matters is found wherever it stands, and the folder serves."""

from __future__ import annotations

import jsonschema
import numpy as np
import pytest
from tests.helpers.checkpoints import GOOD, NEUTRAL
from tests.tasks.conftest import weights_of, write_csv, write_language_model
from typer.testing import CliRunner

import lighten
from lighten.cli.app import app
from lighten.errors import InputError
from lighten.measure.rouge import rouge_scores
from lighten.models.tokens import read_tokenizer
from lighten.pipeline.training_result import training_json_schema
from lighten.recipe import parse_recipe
from lighten.runtime import load_summarizer
from lighten.runtime.sentences import sentences_of
from lighten.tasks.extract import Extract
from lighten.tasks.plan import plan

TEXTS, SENTENCES = 240, 6


def write_texts(seed):
    """Texts of six sentences; the summary is the one with a good word, anywhere."""
    rng = np.random.default_rng(seed)
    texts, summaries = [], []
    for number in range(TEXTS):
        place = int(rng.integers(SENTENCES))
        parts = [" ".join(rng.choice(NEUTRAL, 6)) for _ in range(SENTENCES)]
        parts[place] = f"{rng.choice(GOOD)} {parts[place]}"
        texts.append(". ".join(parts) + f". {number} is this.")
        summaries.append(parts[place])
    return {"text": texts, "summary": summaries}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("texts") / "texts.csv", write_texts(0))


@pytest.fixture
def recipe(data, bert):
    def make(generate=None, budget=None, **train):
        how = {"objective": "extractive", "epochs": 8, "learning_rate": 3e-3, "precision": "fp32", **train}
        return {
            "task": "summarization",
            "data": {"train": str(data), "text": "text", "summary": "summary", "prepare": []},
            "model": str(bert),
            "train": {"tokens_per_batch": 256, "max_tokens": 32, **how},
            **({"generate": generate} if generate else {}),
            **({"budget": budget} if budget else {}),
        }

    return make


@pytest.fixture(scope="module")
def trained(data, bert, tmp_path_factory):
    how = {"objective": "extractive", "epochs": 8, "learning_rate": 3e-3, "precision": "fp32"}
    recipe = {
        "task": "summarization",
        "data": {"train": str(data), "text": "text", "summary": "summary", "prepare": []},
        "model": str(bert),
        "train": {"tokens_per_batch": 256, "max_tokens": 32, **how},
    }
    return lighten.train(recipe, tmp_path_factory.mktemp("extract") / "run")


def test_the_sentence_that_matters_is_found(trained):
    quality = trained["quality"]
    assert quality["metric"] == quality["watched"] == "rougeL"
    compared = quality["summaries"]["test"]
    assert list(compared["systems"])[:1] == ["model"] and {"lead", "textrank"} <= set(compared["systems"])
    assert quality["test"]["value"] > 85
    for name in ("lead", "textrank"):
        assert compared["systems"][name]["rougeL"]["ahead_ci95"][0] > 20
    low, high = quality["test"]["ci95"]
    assert low <= quality["test"]["value"] <= high
    assert quality["test"]["value"] == pytest.approx(compared["systems"]["model"]["rougeL"]["value"], abs=0.01)
    assert trained["data"]["summary_words"].keys() == {"5", "7", "9", "10", "14"}
    jsonschema.validate(trained.to_dict(), training_json_schema())
    page = trained.report.read_text()
    assert "TextRank" in page and "First sentences" in page and "ROUGE-L of the finished" in page


def test_the_folder_chooses_what_was_measured(trained):
    model = load_summarizer(trained.model_folder)
    tried = trained["data"]["summary_words"]
    assert str(model.words) == max(tried, key=lambda words: (tried[words], -int(words)))
    assert model.self_test() == []
    fresh = write_texts(7)
    found = rouge_scores(model.summarize(fresh["text"]), fresh["summary"])["rougeL"]
    assert found.mean() > 85


def test_plain_transformers_gives_the_same_scores(trained):
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    folder, text = trained.model_folder, "The great film was this and it. A movie is of the plot"
    model, tokenizer = AutoModelForTokenClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        said = model(**tokenizer(text, return_tensors="pt")).logits[0, 1:-1, 0].numpy()
    parts, scores = load_summarizer(folder).scores(text)
    size = len(tokenizer(parts[0], add_special_tokens=False)["input_ids"])
    assert np.allclose(scores, [said[:size].mean(), said[size:].mean()], atol=1e-4) and scores[0] > scores[1]


def test_predict_prints_a_summary_per_text(trained):
    fresh = write_texts(9)
    done = CliRunner().invoke(app, ["predict", str(trained.model_folder), *fresh["text"][:8]])
    assert done.exit_code == 0
    lines = done.output.strip().splitlines()
    assert len(lines) == 8 and sum(said in line for said, line in zip(fresh["summary"], lines, strict=False)) >= 6


def test_verify_scores_the_sentences_again(trained):
    done = CliRunner().invoke(app, ["verify", str(trained.model_folder)])
    assert done.exit_code == 0 and "3 self-test texts as expected" in done.output, done.output
    with pytest.raises(InputError, match="load_summarizer"):
        lighten.load(trained.model_folder)


def test_a_length_may_be_given(recipe, tmp_path):
    result = lighten.train(recipe({"words": 20, "documents": 5}, epochs=1), tmp_path / "run")
    assert load_summarizer(result.model_folder).words == 20 and "summary_words" not in result["data"]
    compared = result["quality"]["summaries"]["validation"]
    assert compared["documents"] == 5 and list(compared["systems"]) == [
        "model",
        "lead_20",
        "textrank_20",
        "lead",
        "textrank",
    ]
    assert compared["systems"]["lead_20"]["words"] > compared["systems"]["lead"]["words"]
    assert "First sentences, of 20 words" in result.report.read_text()


def test_texts_of_any_length_are_read_whole(recipe, bert, tmp_path):
    result = lighten.train(recipe(epochs=1), tmp_path / "run")
    tokenizer, long = read_tokenizer(bert), result["data"]["long_texts"]["train"]
    assert long["sequences"] > TEXTS and long["cut"] == 0
    longest = "this was a film of the movie and it is a plot. " * 60 + "the great triumph was this film."
    assert len(tokenizer.encode(longest).ids) > 600
    assert len(load_summarizer(result.model_folder).scores(longest)[0]) == len(sentences_of(longest)) == 61


def test_sentences_longer_than_a_piece_are_cut_and_counted(recipe, tmp_path):
    result = lighten.train(recipe(epochs=1, max_tokens=8), tmp_path / "run")
    long = result["data"]["long_texts"]["train"]
    # Pieces have room for six tokens; the sentence with the good word has one or more too many.
    assert long["cut"] >= result["data"]["splits"]["train"]["rows"] and long["tokens_lost"] >= long["cut"]


def test_a_model_that_only_writes_is_refused(recipe, tmp_path):
    model = write_language_model(tmp_path / "bart", "bart")
    with pytest.raises(InputError, match="model type 'bart' says nothing of single tokens"):
        lighten.train({**recipe(), "model": str(model)}, tmp_path / "run")


def test_the_same_seed_gives_the_same_model(recipe, tmp_path):
    runs = [lighten.train(recipe(epochs=1), tmp_path / name) for name in ("one", "two")]
    one, two = (weights_of(run.model_folder) for run in runs)
    assert all((one[name] == two[name]).all() for name in one)


def test_a_clock_keeps_time_for_measuring(recipe, tmp_path, monkeypatch):
    asked = []
    real = Extract.closing_time
    monkeypatch.setattr(Extract, "closing_time", lambda self, model: asked.append(real(self, model)) or 4.0)
    result = lighten.train(recipe(epochs=None, budget={"build_minutes": 0.2}), tmp_path / "run")
    assert len(asked) == 1 and asked[0] > 0
    assert result["training"]["stopped"] == "clock" and result["training"]["steps"] > 0
    assert result["settings"]["seconds"] < 0.2 * 60 - 4.0
    found = plan(parse_recipe(recipe(budget={"build_minutes": 0.2})))
    assert found["predicted"]["peak_memory_mb"] > 0


def test_a_modernbert_learns_to_choose_and_its_folder_serves(recipe, checkpoints, tmp_path):
    given = recipe(generate={"words": 8}, epochs=4)
    lighten.train({**given, "model": str(checkpoints["modernbert"])}, tmp_path / "run")
    summarizer = load_summarizer(tmp_path / "run/model")
    assert summarizer.folder.self_test and summarizer.self_test() == []
    assert summarizer.summarize(["One is this. The film was a great film. Two is that."])[0]

"""What `lighten train` measures of a summariser: ROUGE of what it writes, beside summaries that cost nothing."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest
from tests.tasks.conftest import write_csv, write_language_model

import lighten
from lighten.errors import InputError
from lighten.pipeline.training_result import training_json_schema

WORDS = ["film", "movie", "story", "acting", "plot", "music"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Texts of three sentences; the summary is the word of the first one."""
    rng = np.random.default_rng(0)
    texts, summaries = [], []
    for number in range(150):
        first, *more = rng.choice(WORDS, 3, replace=False)
        texts.append(f"The {first} was great. A {more[0]} is dull. A {more[1]} is a mess {number}.")
        summaries.append(f"the {first} was great")
    return write_csv(tmp_path_factory.mktemp("texts") / "texts.csv", {"text": texts, "summary": summaries})


def recipe(data, model, generate, **train):
    return {
        "task": "summarization",
        "data": {"train": str(data), "text": "text", "summary": "summary", "prepare": []},
        "model": str(model),
        "train": {"from_scratch": True, "learning_rate": 1e-2, "precision": "fp32", "tokens_per_batch": 256, **train},
        "generate": {"max_tokens": 12, "beams": 2, "no_repeat": 0, **generate},
    }


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("summaries")
    model = write_language_model(folder / "model", "bart")
    return lighten.train(recipe(data, model, {"documents": 12}, epochs=15), folder / "run")


def test_the_quality_is_rouge_beside_the_baselines(trained):
    quality = trained["quality"]
    assert (quality["metric"], quality["watched"]) == ("rougeL", "perplexity")
    compared = quality["summaries"]["test"]
    assert list(compared["systems"]) == ["model", "lead", "textrank"]
    assert compared["length"] == 4 and compared["documents"] == quality["test"]["n"] == 12
    assert quality["test"]["value"] == compared["systems"]["model"]["rougeL"]["value"] > 60
    low, high = quality["test"]["ci95"]
    assert low <= quality["test"]["value"] <= high
    assert quality["perplexity"]["test"]["value"] < 5
    assert {"row", "reference", "model"} == set(compared["examples"][0])
    assert "ROUGE-L" in trained["sentence"]
    jsonschema.validate(trained.to_dict(), training_json_schema())


def test_the_page_shows_the_baselines(trained):
    page = trained.report.read_text()
    assert "TextRank" in page and "ROUGE-2" in page and "First sentences" in page


def test_plain_transformers_writes_the_same(trained):
    import torch
    from transformers import AutoModelForSeq2SeqLM

    from lighten.models.tokens import read_tokenizer
    from lighten.models.writing import Writing, write_summaries

    model = AutoModelForSeq2SeqLM.from_pretrained(trained.model_folder)
    assert (model.generation_config.num_beams, model.generation_config.max_new_tokens) == (2, 12)
    tokenizer = read_tokenizer(trained.model_folder)
    ids = tokenizer.encode("The plot was great. A story is dull. A film is a mess 1.").ids
    ours = write_summaries(model, [np.array(ids)], Writing(2, 12, 1.0, 0))[0]
    theirs = model.generate(input_ids=torch.tensor([ids]))[0].tolist()
    assert ours.tolist() == [token for token in theirs if token not in (0, 2, 3)]
    assert tokenizer.decode(ours.tolist()).endswith("was great")


def test_the_folder_writes_the_same_without_torch(trained):
    import csv

    from typer.testing import CliRunner

    from lighten.cli.app import app
    from lighten.runtime import load_summarizer

    model = load_summarizer(trained.model_folder)
    assert model.self_test() == []
    model.verify()
    with open(trained["recipe"]["data"]["train"], encoding="utf-8") as stream:
        texts = {number: row["text"] for number, row in enumerate(csv.DictReader(stream), 2)}
    for example in trained["quality"]["summaries"]["test"]["examples"]:
        assert model.summarize(texts[example["row"]]) == [example["model"]]
    ran = CliRunner().invoke(app, ["predict", str(trained.model_folder), texts[2], texts[3]])
    assert ran.stdout.splitlines() == model.summarize([texts[2], texts[3]])


def test_texts_in_pieces_and_no_rouge(data, tmp_path):
    model = write_language_model(tmp_path / "model", "bart")
    cut = lighten.train(recipe(data, model, {"documents": 3, "chunk": 16, "again": False}, epochs=1), tmp_path / "cut")
    assert cut["quality"]["summaries"]["test"]["documents"] == 3
    none = lighten.train(recipe(data, model, {"documents": 0}, epochs=1), tmp_path / "none")
    assert none["quality"]["metric"] == "perplexity" and "summaries" not in none["quality"]


def test_an_encoder_becomes_an_encoder_decoder(data, bert, tmp_path):
    from transformers import AutoModelForSeq2SeqLM

    how = {"from_scratch": False, "epochs": 1, "learning_rate": 1e-3}
    result = lighten.train(recipe(data, bert, {"documents": 2}, from_encoder=True, **how), tmp_path / "run")
    assert result["quality"]["test"]["n"] == 2
    again = AutoModelForSeq2SeqLM.from_pretrained(result.model_folder)
    assert again.config.model_type == "encoder-decoder"
    further = recipe(data, result.model_folder, {"documents": 0}, **how)
    second = lighten.train(further, tmp_path / "two")
    assert second["quality"]["validation"]["value"] < 1.2 * result["quality"]["perplexity"]["validation"]["value"]
    with pytest.raises(InputError, match="from_encoder"):
        lighten.train(recipe(data, bert, {}, **how), tmp_path / "three")


def test_a_clock_keeps_time_for_the_summaries(data, tmp_path):
    model = write_language_model(tmp_path / "model", "bart")
    timed = {**recipe(data, model, {"documents": None}), "budget": {"build_minutes": 0.15}}
    result = lighten.train(timed, tmp_path / "run")
    assert result["quality"]["summaries"]["test"]["documents"] >= 1
    found = list((tmp_path / "run" / "work").rglob("closing.json"))
    assert json.loads(found[0].read_text())["seconds"] > 0

"""Long texts in a build: what is tried, what is kept, what reaches the model folder."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest

import lighten
from lighten.errors import InputError
from lighten.pipeline.result import result_json_schema
from lighten.search.cost.cache import conditions_of
from lighten.search.plan import planning
from lighten.search.rungs.long_texts import choose_long, simplest_good

WAYS = ["truncate", "head-tail", "sentences", "textrank", "chunk"]
SEARCH = {"candidates": 1, "epochs": 0.5, "reference_epochs": 0.5, "rungs": ["student"], "layers": [1]}


@pytest.fixture(scope="module")
def hidden(tmp_path_factory):
    """Texts of some 150 tokens (the model reads 64) that say what they are in one sentence, anywhere but first."""
    random = np.random.default_rng(0)
    lines = []
    for _ in range(240):
        label = bool(random.integers(2))
        sentences = [" ".join(random.choice(["a", "the", "film", "movie", "was", "is"], 12)) + "." for _ in range(12)]
        words = ["great", "triumph", "funny"] if label else ["boring", "rotten", "mess"]
        sentences[random.integers(6, 9)] = " ".join(random.choice(words, 6)) + "."
        lines.append(json.dumps({"text": " ".join(sentences), "label": "fresh" if label else "rotten"}))
    file = tmp_path_factory.mktemp("hidden") / "rows.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return {"train": str(file), "text": "text", "label": "label", "prepare": []}


@pytest.mark.slow
def test_the_sentence_that_says_it_is_found(recipe, hidden, tmp_path):
    made = recipe(data=hidden, search=SEARCH)
    lighten.build(made, tmp_path / "run")
    result = json.loads((tmp_path / "run/result.json").read_text())
    jsonschema.validate(result, result_json_schema())
    found = result["data"]["long_texts"]
    assert found["limit"] == 64 and found["share_cut"] == 1.0
    assert list(found["scores"]) == ["truncate", "head-tail", "sentences", "textrank"]
    assert found["scores"]["sentences"] > 95 > 75 > found["scores"]["truncate"]
    assert found["chosen"] == "sentences"
    model = lighten.load(tmp_path / "run/model")
    assert model.folder.long == {"strategy": "sentences"} and model.self_test() == []
    assert "document_frequencies.json" in model.folder.files
    assert "longer than the 64 tokens that the model reads" in (tmp_path / "run/report.html").read_text()
    journal = [json.loads(line) for line in (tmp_path / "run/journal.jsonl").read_text().splitlines()]
    decided = [event["value"] for event in journal if event.get("name") == "long texts"]
    assert decided == [found]
    # Another budget asks the journal.
    again = lighten.build({**made, "budget": {"latency_ms": 40, "quality": -50, "build_minutes": 1}}, tmp_path / "run")
    assert again["data"]["long_texts"] == found
    assert len(list((tmp_path / "run/work/artifacts").glob("*/manifest.json"))) > 0
    kinds = [json.loads(f.read_text())["kind"] for f in (tmp_path / "run/work/artifacts").glob("*/manifest.json")]
    assert kinds.count("trial") == 4


@pytest.mark.slow
@pytest.mark.parametrize(("way", "pool"), [("chunk", "mean"), ("hierarchical", "attention")])
def test_a_build_with_chunks(recipe, hidden, tmp_path, way, pool):
    search = {**SEARCH, "long": [way], "rungs": ["linear", "student"]}
    made = recipe(data=hidden, search=search, target={"threads": 1, "batch": 1, "tokens": 150})
    result = lighten.build(made, tmp_path / "run")
    assert result["data"]["long_texts"] == {"limit": 64, "share_cut": 1.0, "chosen": way, "scores": {}}
    model = lighten.load(tmp_path / "run/model")
    assert model.folder.long == {"strategy": "chunk", "overlap": 64, "pool": pool}
    linear = next(c for c in result["candidates"] if c["rung"] == "linear")
    assert linear["metrics"]["quality"]["value"] > 95  # the chunk with the sentence decides


@pytest.mark.slow
def test_texts_that_fit_are_tried_with_nothing(recipe, tmp_path):
    result = lighten.build(recipe(search={**SEARCH, "rungs": ["linear"]}), tmp_path / "run")
    assert result["data"]["long_texts"] == {"limit": 64, "share_cut": 0.0, "chosen": "truncate", "scores": {}}
    assert "long texts" not in (tmp_path / "run/journal.jsonl").read_text()
    assert lighten.load(tmp_path / "run/model").folder.long is None


def test_the_simplest_of_equals():
    assert simplest_good({"truncate": 80.0, "head-tail": 80.5, "textrank": 81.0}, 1000) == "truncate"
    assert simplest_good({"truncate": 75.0, "head-tail": 80.5, "textrank": 81.0}, 1000) == "head-tail"
    assert simplest_good({"truncate": 75.0, "head-tail": 70.0, "textrank": 81.0}, 100_000) == "textrank"


@pytest.mark.parametrize(("long", "said"), [(["shunk"], "'chunk'"), ([], "at least 1")])
def test_bad_wishes(recipe, tmp_path, long, said):
    with pytest.raises(InputError, match=said):
        lighten.build(recipe(search={"long": long}), tmp_path / "run")


def test_texts_are_read_whole_by_a_model_with_a_window(opened, hidden):
    run = opened(data=hidden, search={**SEARCH, "long": ["window", "truncate"]}, target={"threads": 1, "tokens": 200})
    given = run.model
    found = choose_long(run)
    assert list(found["scores"]) == ["truncate", "window"] and found["scores"]["window"] > 95
    assert found["chosen"] == "window" and found["limit"] == 64 and found["tokens"] == 256
    assert run.model != given and run.max_tokens == run.full.positions == 256 and run.long.strategy == "truncate"
    assert run.config["lighten_attention"]["window"] < 256
    again = opened(data=hidden, search=run.recipe.search.model_dump(), target={"threads": 1, "tokens": 200})
    assert choose_long(again) == found and again.model == run.model  # a worker, or the same build once more


def test_no_window_where_every_text_fits(opened):
    run = opened(search={**SEARCH, "long": ["window"]})
    given = run.model
    assert choose_long(run)["chosen"] == "truncate" and run.model == given


def test_a_model_that_cannot_be_extended(opened, hidden, monkeypatch):
    run = opened(data=hidden, search={**SEARCH, "long": ["window"]})
    monkeypatch.setattr("lighten.models.extension.KINDS", {"roberta"})
    with pytest.raises(InputError, match=r"search\.long: .*cannot be extended"):
        choose_long(run)


@pytest.mark.slow
def test_a_build_that_reads_texts_whole(recipe, hidden, tmp_path):
    search = {**SEARCH, "epochs": 6, "reference_epochs": 6, "long": ["truncate", "window"]}
    target = {"threads": 1, "batch": 1, "tokens": 150}
    result = lighten.build(recipe(data=hidden, search=search, target=target), tmp_path / "run")
    jsonschema.validate(result.to_dict(), result_json_schema())
    assert result["data"]["long_texts"]["chosen"] == "window"
    assert lighten.load(tmp_path / "run/model").folder.max_tokens == 256
    assert result["chosen"]["rung"] == "student"
    assert "extended to 256 tokens" in (tmp_path / "run/report.html").read_text()


def test_a_plan_counts_the_window(opened, hidden):
    run = opened(data=hidden, search={**SEARCH, "long": ["window"]}, target={"threads": 1, "tokens": 150})
    planning._treat_long_texts(run)
    assert conditions_of(run)["tokens"] == 150 and run.max_tokens == 256

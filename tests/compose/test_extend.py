"""A plan that makes the model read longer texts: each model is cut at its own limit."""

from __future__ import annotations

import csv
import json

import pytest
from tests.compose.conftest import TARGET
from tests.helpers.checkpoints import sentences

import lighten
from lighten.compose import classification
from lighten.errors import InputError
from lighten.measure import instruments


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    """Texts of about 100 tokens whose telling word comes last."""
    file = tmp_path_factory.mktemp("documents") / "documents.csv"
    texts, labels = sentences(120, seed=4)
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["review", "verdict"])
        for index, (text, label) in enumerate(zip(texts, labels, strict=True)):
            writer.writerow(["the film was " * 30 + f"{index} {text}", ("bad", "good")[label]])
    return file


def test_an_extension_in_a_plan(fitted, documents, tmp_path, monkeypatch):
    for module in (classification, instruments):
        monkeypatch.setattr(module, "peak_memory_mb", lambda *args: 1.0)
    monkeypatch.setattr(instruments, "cold_start_ms", lambda *args: 1.0)
    columns = {"text": "review", "label": "verdict", "set": TARGET}
    steps = "extend=128:window=8,layers=1,distil:epochs=1,int8"
    result = lighten.compress(fitted, steps, documents, out=tmp_path / "run", **columns)
    assert [row["step"] for row in result.steps][1] == "extend=128:window=8"
    assert result.steps[1]["details"]["tokens"] == 128
    described = json.loads((tmp_path / "run" / "model" / "lighten.json").read_text())
    assert described["preprocessing"]["max_tokens"] == 128
    settings = json.loads((tmp_path / "run" / "model" / "tokenizer_config.json").read_text())
    assert settings["model_max_length"] == 128
    model = lighten.load(tmp_path / "run" / "model")
    empty, longest = model.predict(["", "the film " * 20_000])
    assert (empty.tokens, empty.truncated, longest.tokens, longest.truncated) == (2, False, 128, True)
    assert model.self_test() == []


def test_a_plan_that_extends_to_less_fails_in_the_dry_run(compress, tmp_path):
    with pytest.raises(InputError, match=r"dry run: step 1 of 1, 'extend=20'.*takes 48 tokens already; got tokens 20"):
        compress("extend=20", tmp_path / "run")


def test_the_target_must_be_within_what_the_given_model_takes(compress, tmp_path):
    options = {"set": ("target.tokens=64", "target.threads=1")}
    with pytest.raises(InputError, match=r"target\.tokens: at most \d+ for this model; got 64"):
        compress("extend=128:window=8", tmp_path / "run", **options)

from __future__ import annotations

import csv
import json

import pytest
from tests.helpers.checkpoints import write_model
from tests.helpers.command_line import check_failure, every_error
from tests.workshop.compare_attention.samples import TINY

from lighten.workshop.compare_attention import compare


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(TINY))
    return "model"


@pytest.mark.slow
def test_it_judges_in_a_process_of_its_own(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "model", "roberta")
    done = run(
        *("compare-attention", "--model", "model", "--tokens", "16", "--kinds", "full,window,longformer", "--json"),
        *("--window", "4", "--rounds", "1", "--threads", "1", "--what", "forward"),
    )
    assert done.exit_code == 0, done.stderr
    rows = {row["kind"]: row for row in json.loads(done.stdout)["quality"]["rows"]}
    assert rows["window"]["agreement"] == pytest.approx(rows["longformer"]["agreement"], abs=1e-3)
    assert rows["window"]["texts"] == 8 and rows["window"]["agreement"] < 1


@pytest.mark.slow
def test_it_measures_prints_and_writes(run, model, tmp_path):
    done = run(
        *("compare-attention", "--model", model, "--tokens", "16,32", "--kinds", "window", "--window", "4"),
        *("--rounds", "1", "--threads", "1", "--what", "training", "--out", "out", "--csv", "points.csv"),
    )
    assert done.exit_code == 0, done.stderr
    for words in ("forward and backward, tokens", "window", "peak memory", "slope of time", "page  out/attention"):
        assert words in done.stdout, words
    document = json.loads((tmp_path / "out" / "attention.json").read_text())
    assert all(row["seconds"] > 0 and row["peak_mb"] > row["ready_mb"] - 1 > 50 for row in document["points"])
    with open(tmp_path / "points.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["kind"], row["tokens"]) for row in rows] == [("window", "16"), ("window", "32")]
    assert (tmp_path / "points.csv").read_text() == (tmp_path / "out" / "attention.csv").read_text()
    assert "<svg" in (tmp_path / "out" / "attention.html").read_text()
    assert (tmp_path / "out" / "attention.svg").read_text().startswith("<svg")


def test_json_is_the_document_and_nothing_else(run, model, monkeypatch):
    answer = {"seconds": [0.1], "peak_mb": 600.0, "ready_mb": 500.0}
    monkeypatch.setattr(compare, "ask", lambda asked, worker: dict.fromkeys(asked["what"], answer))
    done = run("compare-attention", "--model", model, "--tokens", "64", "--json")
    assert done.exit_code == 0, done.stderr
    assert len(json.loads(done.stdout)["points"]) == 10


def agreeing(asked, worker):
    """Answers as processes do: the kinds agree by 0.25, dilated cannot hold the weights."""
    if asked["do"] == "attention":
        return {what: {"seconds": [0.1], "peak_mb": 600.0, "ready_mb": 500.0} for what in asked["what"]}
    values = [0.25] * len(asked["ids"])
    one = {"agreement": values, "difference": values, "first_cosine": values}
    kinds = dict.fromkeys(asked["kinds"], one) | {"dilated": {"refused": "cannot hold these weights"}}
    return {"kinds": kinds, "first_other": 0.125}


def test_quality_is_printed_and_written(run, tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "ask", agreeing)
    write_model(tmp_path / "model")
    (tmp_path / "rows.csv").write_text("body\n" + "the film was good and warm\n" * 40)
    asked = ("compare-attention", "--model", tmp_path / "model", "--tokens", "16,64", "--window", "4", "--rounds", "1")
    rows = ("--data", tmp_path / "rows.csv", "--text", "body")
    done = run(*asked, *rows, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    for words in (
        "agreement, tokens",
        "0.250",
        "first token",
        "8 texts of each length",
        "it is 0.125",
        "at 64 tokens",
    ):
        assert words in done.stdout, words
    assert "left out: agreement of dilated at 64: cannot hold these weights" in done.stdout
    assert "The model was made for 48 tokens" in done.stdout
    with open(tmp_path / "out" / "attention.csv") as file:
        found = {(row["kind"], row["tokens"], row["what"]): row for row in csv.DictReader(file)}
    assert (
        found["window", "16", "forward"]["agreement"] == "0.25" and found["full", "16", "forward"]["agreement"] == ""
    )
    assert found["dilated", "16", "training"]["not_judged"] == "cannot hold these weights"
    assert json.loads((tmp_path / "out" / "attention.json").read_text())["quality"]["rows"]
    assert "Agreement with full attention" in (tmp_path / "out" / "attention.html").read_text()
    assert "random tokens, which are no text" in run(*asked).stdout


def test_why_there_is_no_quality_is_said(run, model, monkeypatch):
    monkeypatch.setattr(compare, "ask", agreeing)
    assert "quality left out: agreement is that" in run("compare-attention", "--tokens", "64").stdout
    assert "no model.safetensors" in run("compare-attention", "--tokens", "64", "--model", model).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "rows.csv"), "--data rows.csv: agreement is that of a model's weights: name a model with --model"),
        (("--tokens", "512,many"), "--tokens: 'many' is not a whole number"),
        (("--tokens", ","), "name at least one length"),
        (("--kinds", "windw"), "did you mean 'window'?"),
        (("--window", "0"), "at least 1 token on each side but is 0"),
        (("--window", "-3"), "but is -3"),
        (("--what", "predict"), "no work 'predict'"),
        (("--minutes", "0"), "must be above 0"),
        (("--model", "none"), "none"),
        (("--rounds", "0"), "--rounds"),
    ],
)
def test_bad_input_exits_2(run, model, monkeypatch, arguments, words):
    monkeypatch.setattr(compare, "ask", None)
    done = run("compare-attention", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr and done.stdout == ""


@every_error("interrupted")
def test_errors(run, monkeypatch, error, status, words):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(compare, "compare_attention", fail)
    check_failure(run("compare-attention"), status, words)

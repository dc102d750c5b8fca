from __future__ import annotations

import csv
import json

import pytest
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


def test_json_is_the_document_and_nothing_else(run, model, monkeypatch):
    answer = {"seconds": [0.1], "peak_mb": 600.0, "ready_mb": 500.0}
    monkeypatch.setattr(compare, "ask", lambda asked, worker: dict.fromkeys(asked["what"], answer))
    done = run("compare-attention", "--model", model, "--tokens", "64", "--json")
    assert done.exit_code == 0, done.stderr
    assert len(json.loads(done.stdout)["points"]) == 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
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

from __future__ import annotations

import json

import pytest
from tests.helpers.command_line import check_failure, every_error

from lighten import data
from lighten.data.near_step import NearDuplicates


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good, bad = ["lovely", "warm", "witty", "tender"], ["dull", "hollow", "stale", "noisy"]
    rows = ["text,label"]
    for i in range(24):
        words, label = (good, "fresh") if i % 2 else (bad, "rotten")
        rows.append(f"film {i} is {words[i % 4]} and {words[(i + 1) % 4]},{label}")
    (tmp_path / "a.csv").write_text("\n".join([*rows, rows[1], "<b>x</b>,fresh"]) + "\n")
    (tmp_path / "t.csv").write_text("text,label\nanother text,fresh\n")
    return tmp_path / "a.csv"


def test_it_prints_what_was_found(run, table):
    done = run("audit", "a.csv", "--label", "label", "--test", "t.csv", "--out", "audit.html")
    assert done.exit_code == 0, done.stderr
    for words in (
        "26 rows, 2 labels; 1 duplicates",
        "0 rows of train are in test too",
        "equal up to case and blanks  1",
        "HTML tags",
        "words  median",
        "most frequent label has 50.0% of the rows",
        "page  audit.html",
    ):
        assert words in done.stdout, words
    assert "<html" in (table.parent / "audit.html").read_text()


def test_json_is_the_document_and_nothing_else(run, table):
    done = run("audit", "a.csv", "--label", "label", "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["kind"] == "audit" and document["parts"]["train"]["rows"] == 26


def test_without_labels(run, table):
    done = run("audit", "a.csv")
    assert done.exit_code == 0, done.stderr
    assert "with another label" not in done.stdout and "classifier" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.csv",), "none.csv"),
        (("a.csv", "--text", "texts"), "did you mean 'text'?"),
        (("a.csv", "--label", "lable"), "did you mean 'label'?"),
        (("a.csv", "--threshold", "3"), "--threshold"),
    ],
)
def test_bad_input_exits_2(run, table, arguments, words):
    done = run("audit", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr and done.stdout == ""


def test_the_threshold_is_that_of_the_step(run, table):
    document = json.loads(run("audit", "a.csv", "--json").stdout)
    assert document["duplicates"]["threshold"] == NearDuplicates().threshold


@every_error("interrupted")
def test_errors(run, monkeypatch, error, status, words):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setitem(vars(data), "audit", fail)
    check_failure(run("audit", "a.csv"), status, words)

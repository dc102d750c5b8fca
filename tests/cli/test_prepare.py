from __future__ import annotations

import json

import pytest
import yaml
from tests.helpers.command_line import RECIPE, check_failure, every_error

from lighten import api


@pytest.fixture
def rows(recipe):
    lines = [f"text &amp; number {number},{'ab'[number % 2]}" for number in range(60)]
    (recipe.parent / "a.csv").write_text("\n".join(["t,l", *lines, ",a"]) + "\n")
    recipe.write_text(yaml.safe_dump(RECIPE))
    return recipe


def test_it_prints_every_step_with_samples(run, rows):
    done = run("prepare", rows)
    assert done.exit_code == 0, done.stderr
    for word in (
        "train  clean        60       60        60",
        "entities 60",
        "dropped, empty_text 1",
        "  - text &amp; number 0",
        "  + text & number 0",
        "left out  1 rows: runs/tickets/rejected.jsonl",
    ):
        assert word in done.stdout, done.stdout
    assert "prepare data" in done.stderr


def test_json_is_one_document_whose_totals_add_up(run, rows):
    content = json.loads(run("prepare", rows, "--json", "--out", "there").stdout)
    left = content["rows_read"]["train"]
    for step in content["steps"]:
        assert step["rows_in"] == left
        left -= sum(step["dropped"].values())
        assert step["rows_out"] == left
    assert left == sum(split["rows"] for split in content["splits"].values())
    assert content["files"] == ["train.jsonl", "validation.jsonl", "test.jsonl", "labels.json", "rejected.jsonl"]


def test_options_reach_the_work(run, recipe, monkeypatch):
    calls = []

    def fake(recipe, out, **rest):
        calls.append((recipe, out, rest.pop("progress") is not None, rest))
        return api.Prepared(api.Path("there"), {"sentence": ""})

    monkeypatch.setattr(api, "prepare", fake)
    arguments = ["--out", "x", "--set", "seed=1", "--workers", 2, "--format", "csv", "--json"]
    assert run("prepare", recipe, *arguments).exit_code == 0
    assert calls == [(recipe, api.Path("x"), True, {"set": ["seed=1"], "workers": 2, "format": "csv"})]


@every_error("run the same command to go on")
def test_errors(run, recipe, monkeypatch, error, status, words):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(api, "prepare", fail)
    check_failure(run("prepare", recipe), status, words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("t,l\nx\n", "a.csv, row 2: expected 2 fields as in the header, found 1"),
        ("t,l\n", "a.csv: the file has no rows"),
        ("t,k\nx,a\n", "there is no column 'l' (data.label)"),
    ],
)
def test_bad_rows_exit_2_and_leave_nothing(run, recipe, tmp_path, content, words):
    (recipe.parent / "a.csv").write_text(content)
    check_failure(run("prepare", recipe), 2, words)
    assert not (tmp_path / "runs" / "tickets").exists()

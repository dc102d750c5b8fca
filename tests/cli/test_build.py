from __future__ import annotations

import json

import pytest
from tests.helpers.command_line import RECIPE, check_failure, every_error
from tests.report.sample import infeasible_result, sample_result

import lighten
import lighten.search
from lighten.pipeline.files import write_json


@pytest.fixture
def search(monkeypatch):
    """Stand in for the search: records its arguments and answers with `search.result` or raises it."""

    class Search:
        def __init__(self):
            self.result, self.calls = sample_result(), []

        def __call__(self, recipe, out, **rest):
            self.calls.append({"recipe": recipe, "out": out, **rest})
            if isinstance(self.result, BaseException):
                raise self.result
            with rest["progress"].stage("work", total=2) as stage:
                stage.update(1, loss=0.5)
            (out / "model").mkdir(parents=True, exist_ok=True)
            write_json(out / "result.json", self.result)
            return self.result

    fake = Search()
    monkeypatch.setitem(vars(lighten.search), "build", fake)  # setattr would first import the real one, and torch
    return fake


def test_a_build_that_fits(run, recipe, search, tmp_path):
    done = run("build", recipe)
    assert done.exit_code == 0, done.stderr
    for word in (
        "A 2-layer",
        "1.78 ms",
        "met",
        "runs/tickets/report.html",
        "lighten predict runs/tickets/model",
    ):
        assert word in done.stdout
    assert "work" in done.stderr
    assert "work" not in done.stdout
    assert (tmp_path / "runs/tickets/report.html").is_file()
    assert (tmp_path / "runs/tickets/model/README.md").is_file()
    (call,) = search.calls
    assert call["recipe"].name == "tickets"
    assert call["command"] == "lighten build recipes/tickets.yaml"
    assert str(call["base"]) == "recipes"
    assert call["workers"] == 1


def test_options_reach_the_search_and_the_command(run, recipe, search):
    done = run("build", recipe, "--out", "my run", "--set", "budget.latency_ms=2", "--set", "seed=3", "--workers", 2)
    assert done.exit_code == 0, done.stderr
    (call,) = search.calls
    assert call["recipe"].budget.latency_ms == 2
    assert call["recipe"].seed == 3
    assert str(call["out"]) == "my run"
    assert call["workers"] == 2
    expected = "lighten build recipes/tickets.yaml --out 'my run' --set budget.latency_ms=2 --set seed=3 --workers 2"
    assert call["command"] == expected


def test_json_is_the_result_and_nothing_else(run, recipe, search):
    done = run("build", recipe, "--json")
    assert json.loads(done.stdout) == search.result


def test_infeasible_exits_3_and_delivers(run, recipe, search, tmp_path):
    search.result = infeasible_result()
    done = run("build", recipe)
    assert done.exit_code == 3
    for word in ("No model fits", "NOT MET", "0.98 ms", "student-1L-12k-int8"):
        assert word in done.stdout
    assert (tmp_path / "runs/tickets/report.html").is_file()
    assert json.loads(run("build", recipe, "--json").stdout)["binding_limit"] == "latency_ms"


def test_what_the_verdict_is_to_be_read_with(run, recipe, search):
    search.result = {
        **infeasible_result(),
        "stopped_early": True,
        "unreachable": ["latency_ms=0.01: the fastest model, TF-IDF + linear, has 0.05 ms"],
    }
    done = run("build", recipe)
    assert done.exit_code == 3
    assert "Nothing fits: latency_ms=0.01: the fastest model, TF-IDF + linear, has 0.05 ms." in done.stdout
    assert "Stopped early: the same command goes on" in done.stdout
    assert search.calls[0]["interruptible"] is True


@every_error("run the same command to go on")
def test_errors(run, recipe, search, error, status, words):
    search.result = error
    done = run("build", recipe)
    check_failure(done, status, words)
    assert "Traceback" in run("build", recipe, "--debug").stderr or status == 130


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.yaml",), "no such recipe"),
        (("recipes/tickets.yaml", "--set", "budget.latncy_ms=2"), "did you mean 'latency_ms'?"),
        (("recipes/tickets.yaml", "--workers", "0"), "--workers"),
        (("recipes/tickets.yaml", "--out", "recipes/tickets.yaml"), "must be a folder"),
    ],
)
def test_bad_input_exits_2_before_anything_is_made(run, recipe, search, tmp_path, arguments, words):
    done = run("build", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert search.calls == []
    assert [item.name for item in tmp_path.iterdir()] == ["recipes"]


@pytest.mark.parametrize("make", [dict, lambda content: lighten.Recipe(**content)])
def test_from_python(recipe, search, tmp_path, make):
    result = lighten.build(make({**RECIPE, "name": "mine"}), set=["seed=4"])
    assert result.fits
    assert result.verdict == "fits"
    assert result.binding_limit is None
    assert str(result.folder) == "runs/mine"
    assert result.model_folder.is_dir()
    assert result.report.is_file()
    assert result.chosen["name"] == "student-2L-12k-int8"
    assert result.reference["name"] == "reference"
    assert len(result.candidates) == len(result["candidates"])
    assert dict(result) == result.to_dict() == search.result
    assert lighten.Result.read("runs/mine") == result
    (call,) = search.calls
    assert call["recipe"].seed == 4
    assert call["base"] is None
    assert call["command"] == "lighten build runs/mine/recipe.yaml --out runs/mine"


def test_report_writes_the_page_again(run, recipe, search, tmp_path):
    run("build", recipe)
    (tmp_path / "runs/tickets/report.html").unlink()
    done = run("report", "runs/tickets")
    assert done.stdout.strip() == "runs/tickets/report.html"
    assert (tmp_path / "runs/tickets/report.html").is_file()
    assert run("report", "recipes").exit_code == 2

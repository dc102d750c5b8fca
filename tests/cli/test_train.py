from __future__ import annotations

import json
import re
import sys
import types

import pytest
import yaml
from tests.helpers.command_line import RECIPE, check_failure, every_error
from tests.report.training_sample import language_result, training_result

from lighten import api
from lighten.errors import InputError
from lighten.pipeline.files import write_json


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)


class Work:
    """Stands in for `api.train` or `api.plan`: records its arguments, answers with `result` or raises it."""

    def __init__(self, result):
        self.result, self.calls = result, []

    def __call__(self, recipe, out=None, **rest):
        self.calls.append({"recipe": recipe, "out": out, **rest})
        if isinstance(self.result, BaseException):
            raise self.result
        with rest["progress"].stage("training", total=1.0) as stage:
            stage.update(0.5, epoch=1.2, loss=0.4)
        if "restart" not in rest:
            return self.result
        return types.SimpleNamespace(folder=out or api.Path("runs/tickets"), to_dict=lambda: self.result)


@pytest.fixture
def train(monkeypatch):
    made = Work(training_result())
    monkeypatch.setattr(api, "train", made)
    return made


@pytest.fixture
def launch(monkeypatch):
    """Stand in for the launcher: records, writes the result that the processes would write."""
    calls = []

    def fake(arguments, processes, max_restarts=3):
        calls.append((arguments, processes, max_restarts))
        if fake.status == 0:
            folder = api.Path(arguments[arguments.index("--out") + 1])
            folder.mkdir(parents=True)
            write_json(folder / "result.json", training_result())
        return fake.status

    fake.status, fake.calls = 0, calls
    module = types.ModuleType("lighten.train.parallel.launch")
    module.launch = fake
    monkeypatch.setitem(sys.modules, "lighten.train.parallel.launch", module)
    return fake


def test_train_prints_what_matters(run, recipe, train):
    done = run("train", recipe)
    assert done.exit_code == 0, done.stderr
    for word in (
        "83.9 points of accuracy on validation",
        "It used 4 min 58 s of the 5 min 00 s given",
        "validation   83.9 points  82.1 to 85.6  1,150",
        "sealed test  82.7 points  81.0 to 84.3  1,914",
        "11,340 tokens per second",
        "2.1% of the computed tokens",
        "fp32: a bf16 matrix product",
        "812 MB      845.5 MB",
        "note: out of memory",
        "model   runs/tickets/model",
        "report  runs/tickets/report.html",
    ):
        assert word in done.stdout, word
    assert "training" in done.stderr
    (call,) = train.calls
    assert (call["recipe"], call["out"], call["set"], call["restart"]) == (recipe, None, [], False)


def test_options_reach_the_training(run, recipe, train, tmp_path):
    out = tmp_path / "my run"
    done = run("train", recipe, "--out", out, "--set", "train.epochs=2", "--restart", "--processes", 1)
    assert done.exit_code == 0, done.stderr
    (call,) = train.calls
    assert (call["out"], call["restart"]) == (out, True)
    assert call["set"] == ["train.epochs=2", "train.parallel.processes=1"]


def test_json_is_the_result_and_nothing_else(run, recipe, train):
    assert json.loads(run("train", recipe, "--json").stdout) == training_result()


def test_a_language_model_without_prediction(run, recipe, train):
    train.result = language_result()
    text = run("train", recipe).stdout
    assert "perplexity  value  95% interval  examples" in text
    assert "validation  61.23  59.9 to 62.7  900" in text
    assert "the recipe sets no clock" in text
    assert "predicted" not in text
    assert "points" not in text


@pytest.mark.parametrize("where", ["option", "recipe"])
def test_several_processes_are_launched(run, recipe, train, launch, where):
    given = ["train.parallel.max_restarts=5", "train.epochs=2"]
    arguments = [word for text in given for word in ("--set", text)]
    if where == "option":
        done = run("train", recipe, *arguments, "--processes", 2, "--restart", "--debug")
        given = [*given, "train.parallel.processes=2"]
    else:
        recipe.write_text(yaml.safe_dump({**RECIPE, "train": {"parallel": {"processes": 2}}}))
        done = run("train", recipe, *arguments, "--restart", "--debug")
    assert done.exit_code == 0, done.stderr
    expected = ["recipes/tickets.yaml", "--out", "runs/tickets"]
    expected += [word for text in given for word in ("--set", text)]
    assert launch.calls == [([*expected, "--restart", "--debug"], 2, 5)]
    assert train.calls == []
    assert "sealed test  82.7 points" in done.stdout
    assert "model   runs/tickets/model" in done.stdout


def test_a_launch_that_fails_passes_its_status_on(run, recipe, train, launch):
    launch.status = 2
    done = run("train", recipe, "--processes", 2, "--out", "there", "--json")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert launch.calls[0][0][:3] == ["recipes/tickets.yaml", "--out", "there"]


def test_under_a_launcher_nothing_is_launched_again(run, recipe, train, launch, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run("train", recipe, "--processes", 2).exit_code == 0
    assert launch.calls == []
    assert len(train.calls) == 1


@every_error("run the same command to go on from the last checkpoint")
def test_errors(run, recipe, train, error, status, words):
    train.result = error
    done = run("train", recipe)
    check_failure(done, status, words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.yaml",), "no such recipe"),
        (("recipes/tickets.yaml", "--set", "train.epoch=2"), "did you mean 'epochs'?"),
        (
            ("recipes/tickets.yaml", "--set", "train.parallel.kind=none", "--processes", "2"),
            "kind none is one process",
        ),
        (("recipes/tickets.yaml", "--processes", "0"), "--processes"),
    ],
)
def test_bad_input_exits_2_before_anything_is_started(run, recipe, train, launch, arguments, words):
    done = run("train", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert train.calls == launch.calls == []


@pytest.fixture
def plan(monkeypatch):
    predicted = {**training_result()["predicted"], "tokens_per_second": 11000.0}
    made = Work({"task": "text-classification", "predicted": predicted, "clock": {"limit_seconds": 600.0}})
    monkeypatch.setattr(api, "plan", made)
    return made


def test_plan_prints_memory_and_time(run, recipe, plan):
    done = run("plan", recipe, "--set", "train.epochs=2")
    assert done.exit_code == 0, done.stderr
    for name, value in (
        ("peak memory", "812 MB"),
        ("activations", "300 MB"),
        ("time", "5 min 00 s"),
        ("clock", "10 min 00 s"),
        ("tokens per second", "11000"),
    ):
        assert re.search(rf"^ *{name}  +{value}$", done.stdout, flags=re.M), name
    assert "note: time from 3 timed steps" in done.stdout
    assert plan.calls[0]["set"] == ["train.epochs=2"]


def test_plan_as_json_and_its_errors(run, recipe, plan):
    assert json.loads(run("plan", recipe, "--json").stdout) == plan.result
    plan.result = {"predicted": None}
    assert "peak memory  -" in run("plan", recipe).stdout
    plan.result = InputError("no column 'x'", "a.csv")
    done = run("plan", recipe)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "a.csv: no column 'x'" in done.stderr


def test_build_says_what_trains_a_language_model(run, tmp_path, recipe):
    language = {"task": "language-modeling", "data": {"train": "a.csv", "text": "t"}, "model": "m"}
    recipe.write_text(yaml.safe_dump(language))
    done = run("build", recipe)
    assert done.exit_code == 2
    assert "lighten build knows text-classification only" in done.stderr
    assert "lighten train knows it" in done.stderr
    assert not (tmp_path / "runs").exists()

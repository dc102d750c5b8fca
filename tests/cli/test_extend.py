"""``lighten extend``: what it prints, where the folder goes, how it refuses."""

from __future__ import annotations

import json

import pytest
from tests.helpers.checkpoints import check_loads, write_model
from tests.helpers.command_line import check_failure

import lighten


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "models" / "mine", "roberta")
    return "models/mine"


def test_a_longer_model(run, model, tmp_path):
    done = run("extend", model, "--tokens", 300, "--window", 16, "--layers", "LG")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines() == [
        "runs/mine-300: 300 tokens, 48 before",
        "a token sees 16 on each side and the first 1; layers LG (L local, G full attention)",
    ]
    check_loads(tmp_path / "runs/mine-300")


@pytest.mark.parametrize(
    ("option", "words"), [("--dilation", "; every 2 tokens"), ("--random-blocks", "; 2 random blocks besides")]
)
def test_other_patterns(run, model, option, words):
    done = run("extend", model, "--tokens", 300, "--window", 16, option, 2)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[1].endswith("(L local, G full attention)" + words)


def test_as_json_and_from_python(run, model):
    done = run("extend", model, "--tokens", 300, "--globals", 2, "--out", "long", "--json")
    found = json.loads(done.stdout)
    assert found == {"model": "long", "tokens": 300, "before": 48, "window": 128, "globals": 2, "layers": "LL"}
    assert lighten.extend(model, 300, globals=2, out="longer") == {**found, "model": "longer"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--window", 0), "error: window must be from 1 to below the 4096 tokens of a text; got 0"),
        (("--window", 4096), "window must be from 1 to below the 4096 tokens of a text; got 4096"),
        (("--tokens", 20), "models/mine/config.json: the model takes 48 tokens already; got tokens 20"),
        (("--layers", "LLX"), "'X'"),
        (("--out", "models/mine"), "models/mine: there is something here already"),
    ],
)
def test_what_is_refused(run, model, tmp_path, options, words):
    check_failure(run("extend", model, *options), 2, words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models"]


def test_no_model_there(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_failure(run("extend", "nowhere"), 2, "nowhere")
    (tmp_path / "empty").mkdir()
    check_failure(run("extend", "empty"), 2, "no config.json")


def test_a_type_that_cannot_be_extended(run, model, tmp_path):
    file = tmp_path / model / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "model_type": "gpt2"}))
    check_failure(run("extend", model), 2, "model type 'gpt2' cannot be extended; those that can are")

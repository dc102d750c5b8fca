"""The entry point of each process, and the package that is also a function."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

import lighten.api
from lighten.errors import BuildError, InputError
from lighten.train.__main__ import main


@pytest.fixture
def train(monkeypatch):
    """What is called instead of `lighten.api.train`; put an exception into `fails`."""
    calls = SimpleNamespace(seen=[], fails=None)

    def stand_in(recipe, out=None, *, set=(), restart=False, progress=None):
        calls.seen.append((recipe, out, list(set), restart))
        if calls.fails:
            raise calls.fails
        with progress.stage("training", total=1.0) as stage:
            stage.update(0.5, loss=1)
        progress.note("a note")
        return SimpleNamespace(to_dict=lambda: {"score": 1})

    monkeypatch.setattr(lighten.api, "train", stand_in, raising=False)
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT", raising=False)
    return calls


def test_arguments_and_json(train, capsys):
    assert main(["r.yaml", "--out", "runs/x", "--set", "a=1", "--set", "b=2", "--restart", "--json"]) == 0
    assert train.seen == [("r.yaml", "runs/x", ["a=1", "b=2"], True)]
    said = capsys.readouterr()
    assert json.loads(said.out) == {"score": 1}
    assert said.err.splitlines() == ["training ...", "a note"]


def test_a_process_started_again_does_not_start_anew(train, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    main(["r.yaml", "--restart"])
    assert train.seen[0][3] is False


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("no such key", "r.yaml"), 2, "error: r.yaml: no such key\n"),
        (BuildError("diverged"), 1, "error: diverged\n"),
        (KeyboardInterrupt(), 130, "interrupted; the same command goes on from the newest checkpoint\n"),
        (ValueError("two\nlines"), 1, "process 0: internal error: ValueError: two lines\n"),
    ],
)
def test_errors_are_one_line_of_the_first_process(train, capsys, monkeypatch, error, code, said):
    train.fails = error
    monkeypatch.setenv("RANK", "0")
    assert main(["r.yaml"]) == code
    assert capsys.readouterr().err == said
    monkeypatch.setenv("RANK", "1")
    assert main(["r.yaml"]) == code
    # What only this process knows is said by it.
    assert capsys.readouterr().err == (said.replace("process 0", "process 1") if "internal" in said else "")


def test_bad_usage_is_2():
    with pytest.raises(SystemExit) as error:
        main([])
    assert error.value.code == 2


def test_the_package_is_a_function(train):
    import lighten.train

    assert lighten.train("r.yaml", progress=lighten.progress.Progress()).to_dict() == {"score": 1}


def test_the_package_stays_light():
    code = "import sys, lighten.train; print(sorted(m for m in ('torch', 'numpy', 'lighten.api') if m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"

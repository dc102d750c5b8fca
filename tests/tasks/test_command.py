"""`lighten train` as a command, with real trainings: what is on stdout, the exit codes, an interruption."""

from __future__ import annotations

import json

import pytest
import torch
import yaml
from tests.tasks.conftest import weights_of

import lighten
from lighten.cli import main
from lighten.errors import BuildError
from lighten.train.checkpoint import Checkpoints
from lighten.train.loop import Training


@pytest.fixture
def command(tmp_path, monkeypatch, recipe, capfd):
    """A function that runs the command in this process; returns exit status, stdout and stderr (of the system)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)

    def run(*arguments: str, content=None) -> tuple[int, str, str]:
        (tmp_path / "tickets.yaml").write_text(yaml.safe_dump(content or recipe(epochs=1)))
        capfd.readouterr()
        monkeypatch.setattr("sys.argv", ["lighten", "train", "tickets.yaml", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def test_json_is_one_document_and_nothing_else(command, tmp_path):
    status, out, err = command("--json", "--out", "run")
    assert status == 0
    found = json.loads(out)
    assert found == json.loads((tmp_path / "run/result.json").read_text()) and found["kind"] == "training"
    assert "training" in err and "Traceback" not in err
    again, out, err = command("--json", "--out", "run")
    assert again == 0 and json.loads(out) == found and "nothing to do" in err


def test_a_summary_for_people(command):
    status, out, _ = command()
    assert status == 0 and "accuracy" in out and "runs/tickets" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "train.epochss=1"], "epochss"),
        (["--set", "train.max_tokens=4000"], "error: train.max_tokens: the model takes 48 tokens at most; got 4000"),
        (["--set", "data.text=txt"], "did you mean 'text'"),
        (["--set", "model=nowhere"], "nowhere"),
        (["--out", "tickets.yaml"], "error: tickets.yaml: the output must be a folder; this is a file"),
        (["--out", "tickets.yaml/run"], "error: tickets.yaml/run: the output folder cannot be made"),
    ],
)
@pytest.mark.parametrize("json_wanted", [False, True], ids=["plain", "json"])
def test_bad_input_is_one_line_and_status_2(command, tmp_path, arguments, message, json_wanted):
    status, out, err = command(*arguments, *(["--json"] if json_wanted else []))
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert status == 2 and out == ""
    assert len(lines) == 1 and message in lines[0] and err.splitlines()[-1] == lines[0] and "Traceback" not in err
    assert not (tmp_path / "runs/tickets").exists()


def test_a_training_that_cannot_go_on_is_status_1(command, monkeypatch):
    def run(self):
        raise BuildError("training: the loss became nan at step 3; lower the learning rate")

    monkeypatch.setattr(Training, "run", run)
    status, out, err = command("--json")
    assert (status, out) == (1, "")
    assert err.splitlines()[-1] == "error: training: the loss became nan at step 3; lower the learning rate"


def test_a_mistake_of_ours_is_status_1_and_one_line(command, monkeypatch):
    monkeypatch.setattr(Training, "run", lambda self: {}["missing"])
    status, out, err = command()
    assert (status, out) == (1, "") and "Traceback" not in err
    assert err.splitlines()[-1] == "internal error: KeyError: 'missing' (--debug shows where)"


@pytest.mark.parametrize("where", ["step", "look", "saving"])
def test_interrupted_and_run_again(command, tmp_path, monkeypatch, recipe, where):
    """Ctrl-C in a step, while looking at the validation part, while a checkpoint is written."""
    wanted = recipe(epochs=1, dropout=0.1)
    with monkeypatch.context() as patched:
        _press(patched, where)
        status, out, err = command("--out", "run", content=wanted)
    assert (status, out) == (130, "")
    assert err.splitlines()[-1] == "interrupted; run the same command to go on from the last checkpoint"
    assert "Traceback" not in err and not (tmp_path / "run/result.json").exists()
    steps = []
    with monkeypatch.context() as patched:
        _watch(patched, steps)
        status, out, _ = command("--out", "run", "--json", content=wanted)
    assert status == 0 and steps[0] in (10, 13)  # from a checkpoint, not from the beginning
    whole = lighten.train(wanted, tmp_path / "whole")
    assert json.loads(out)["quality"] == whole["quality"]
    ended, undisturbed = weights_of(tmp_path / "run/model"), weights_of(whole.model_folder)
    assert all(torch.equal(ended[name], undisturbed[name]) for name in undisturbed)


def _press(patched, where: str) -> None:
    """Save after every third step; press Ctrl-C at or after the eleventh."""
    make = Training.__init__

    def init(self, *args, tick=lambda: None, **options):
        def pressed() -> None:
            tick()
            if where == "step" and self.state.step == 11:
                raise KeyboardInterrupt

        make(self, *args, tick=pressed, **options)
        patched.setattr(Checkpoints, "due", lambda checkpoints: self.state.step % 3 == 0)
        if where == "look":
            look = self.validate
            self.validate = lambda precision: _raise() if self.state.step >= 11 else look(precision)
        if where == "saving":
            turn = Checkpoints._turn
            patched.setattr(Checkpoints, "_turn", lambda *a: _raise() if self.state.step >= 11 else turn(*a))

    patched.setattr(Training, "__init__", init)


def _raise() -> None:
    raise KeyboardInterrupt


def _watch(patched, steps: list[int]) -> None:
    make = Training.__init__

    def init(self, *args, tick=lambda: None, **options):
        def note() -> None:
            steps.append(self.state.step)
            tick()

        make(self, *args, tick=note, **options)

    patched.setattr(Training, "__init__", init)

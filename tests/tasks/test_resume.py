"""`lighten train` interrupted: by the user, by the system, by a clock; the same command goes on from there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tests.tasks.conftest import weights_of

import lighten
from lighten.errors import BuildError, InputError
from lighten.train.checkpoint import Checkpoints
from lighten.train.loop import Training

ROOT = Path(__file__).parents[2]

DRIVER = textwrap.dedent(
    """
    # Trains again and again, each time in a process of its own that dies by SIGKILL at a step, or half-way through
    # writing a checkpoint; the last one lives. Processes are forked: importing takes longer than training.
    import json, os, signal, sys
    import polars, sklearn.model_selection, torch
    import lighten
    from transformers.models.bert import modeling_bert
    from lighten.tasks import run
    from lighten.train import loop, shards
    from lighten.train.checkpoint import Checkpoints

    recipe, out, kills = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

    def train(kill):
        torch.set_num_threads(1)
        holder = {}
        make, save = loop.Training.__init__, shards.save_file

        def init(self, *args, tick=lambda: None, **options):
            def die():
                tick()
                if kill is not None and kill > 0 and self.state.step >= kill:
                    os.kill(os.getpid(), signal.SIGKILL)
            make(self, *args, tick=die, **options)
            holder["training"] = self

        def half(tensors, file):
            if kill is not None and kill < 0 and holder["training"].state.step >= -kill:
                save(tensors, file)
                with open(file, "r+b") as stream:
                    stream.truncate(file.stat().st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            save(tensors, file)

        loop.Training.__init__, shards.save_file = init, half
        Checkpoints.due = lambda self: holder["training"].state.step % 3 == 0
        lighten.train(recipe, out)

    for kill in kills:
        child = os.fork()
        if not child:
            try:
                train(kill)
                os._exit(0)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
        _, status = os.waitpid(child, 0)
        print(json.dumps([os.WIFSIGNALED(status) and os.WTERMSIG(status), os.WEXITSTATUS(status)]), flush=True)
    """
)


@pytest.fixture(scope="module")
def settled() -> dict:
    """What every training here has: dropout, so that random numbers matter, and several looks."""
    return {"epochs": 2, "dropout": 0.1, "patience": None, "validations_per_epoch": 2}


def run(tmp_path, recipe, kills: list[int | None]) -> list[list[int]]:
    """Train in processes that are killed; returns the signal and exit status of each."""
    (tmp_path / "driver.py").write_text(DRIVER)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "driver.py", "recipe.yaml", "run", json.dumps(kills)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert kills[-1] is not None or found[-1] == [False, 0], done.stderr
    return found


def same_as_undisturbed(result_folder: Path, whole: lighten.TrainResult) -> None:
    ended, wanted = weights_of(result_folder / "model"), weights_of(whole.model_folder)
    assert ended.keys() == wanted.keys() and all(torch.equal(ended[name], wanted[name]) for name in wanted)
    found = json.loads((result_folder / "result.json").read_text())
    assert found["quality"] == whole["quality"] and found["training"]["steps"] == whole["training"]["steps"]
    lines = [json.loads(line) for line in (result_folder / "metrics.jsonl").read_text().splitlines()]
    kinds = [(line["step"], line["validation"] is None) for line in lines]
    assert len(kinds) == len(set(kinds)) and len(kinds) == len(whole["training"]["history"])


@pytest.mark.parametrize("count", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_at_random_steps(recipe, settled, tmp_path, count):
    """By SIGKILL, real processes: at a step (a number) or while a checkpoint is written at it (a negative one)."""
    whole = lighten.train(recipe(**settled), tmp_path / "whole")
    places = np.random.default_rng(7).choice(np.arange(4, whole["training"]["steps"] - 3), count, replace=False)
    kills = [-place if number % 3 == 1 else place for number, place in enumerate(sorted(places.tolist()))]
    found = run(tmp_path, recipe(**settled), [*kills, None])
    assert found[:-1] == [[signal.SIGKILL, 0]] * count
    same_as_undisturbed(tmp_path / "run", whole)


@pytest.mark.slow
def test_killed_ten_times_in_fresh_interpreters(recipe, settled, tmp_path):
    whole = lighten.train(recipe(**settled), tmp_path / "whole")
    places = np.random.default_rng(8).choice(np.arange(1, whole["training"]["steps"] - 3), 10, replace=False)
    for place in sorted(places.tolist()):
        assert run(tmp_path, recipe(**settled), [place]) == [[signal.SIGKILL, 0]]
    assert run(tmp_path, recipe(**settled), [None]) == [[False, 0]]
    same_as_undisturbed(tmp_path / "run", whole)


class Power(BaseException):
    """Goes off."""


def interrupt(monkeypatch, step: int, error: BaseException) -> None:
    """Let the training in this process stop after a step, its newest checkpoint up to two steps old."""
    make = Training.__init__

    def init(self, *args, tick=lambda: None, **options):
        def stop() -> None:
            tick()
            if self.state.step == step:
                raise error

        make(self, *args, tick=stop, **options)
        monkeypatch.setattr(Checkpoints, "due", lambda checkpoints: self.state.step % 3 == 0)

    monkeypatch.setattr(Training, "__init__", init)


def test_a_clock_leaves_a_resumed_training_what_is_left(recipe, tmp_path, monkeypatch):
    """The seconds before the interruption count once: not as spent by the clock and as trained by the loop as well."""
    wanted = recipe({"budget": {"build_minutes": 1}}, epochs=None, soup=1)
    with monkeypatch.context() as patched:
        interrupt(patched, 8, Power())
        with pytest.raises(Power):
            lighten.train(wanted, tmp_path / "run")
    work = tmp_path / "run/work"
    state = json.loads((work / "checkpoints/last/state.json").read_text())
    assert state["state"]["step"] == 6
    state["state"]["elapsed"] = 33.0
    (work / "checkpoints/last/state.json").write_text(json.dumps(state))
    next(work.glob("clock-*.json")).write_text('{"spent": 38.0}')
    left = []

    def steps(self, stage):
        left.append(self.settings.seconds - self.clock.elapsed)
        raise Power

    monkeypatch.setattr(Training, "_steps", steps)
    with pytest.raises(Power):
        lighten.train(wanted, tmp_path / "run")
    assert 60 - 38 - 10 < left[0] < 60 - 38


def test_a_refused_recipe_changes_nothing(recipe, tmp_path, monkeypatch):
    """The folder still belongs to the training that was interrupted there, and that one goes on."""
    with monkeypatch.context() as patched:
        interrupt(patched, 8, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            lighten.train(recipe(epochs=1), tmp_path / "run")
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir() if file.is_file()}
    assert {"recipe.yaml", "environment.json", "metrics.jsonl"} <= before.keys()
    with pytest.raises(InputError, match=r"the checkpoint is of another training .*remove it"):
        lighten.train(recipe(epochs=1, clip=0.5), tmp_path / "run")
    for name in before.keys() - {".lock"}:
        assert (tmp_path / "run" / name).read_bytes() == before[name], name
    resumed = lighten.train(recipe(epochs=1), tmp_path / "run")
    whole = lighten.train(recipe(epochs=1), tmp_path / "whole")
    same_as_undisturbed(resumed.folder, whole)


@pytest.mark.parametrize(("what", "said"), [("save_auto", "model"), ("write_json", "result")])
def test_a_disk_that_fills_up(recipe, tmp_path, monkeypatch, what, said):
    """Nothing can be written from step 7 on: training goes on, the model cannot be saved; with room it is done again
    from the last checkpoint."""
    from lighten.pipeline import clock, files
    from lighten.tasks import outcome as run_module
    from lighten.train import shards

    wanted = recipe({"budget": {"build_minutes": 10}}, epochs=1)
    reached = []
    with monkeypatch.context() as patched:

        def fill(self) -> bool:
            reached.append(True)
            return len(reached) in (4, 8)

        patched.setattr(Checkpoints, "due", fill)
        patched.setattr(clock.Clock, "tick", _every_time(clock.Clock.tick))
        places = [(shards, "save_file"), (clock, "write_text"), (files, "write_bytes"), (run_module, what)]
        for home, name in places:
            patched.setattr(home, name, _until(reached, getattr(home, name)))
        with pytest.raises(
            BuildError, match=f"^the {said} cannot be saved: .*No space left.*the same command goes on"
        ):
            lighten.train(wanted, tmp_path / "run")
    assert len(reached) > 8 and not (tmp_path / "run/result.json").exists()
    assert (tmp_path / "run/model").exists() == (said == "result")
    again = lighten.train(wanted, tmp_path / "run")
    whole = lighten.train(recipe(epochs=1), tmp_path / "whole")
    ended, undisturbed = weights_of(again.model_folder), weights_of(whole.model_folder)
    assert again["training"]["steps"] == whole["training"]["steps"]
    assert all(torch.allclose(ended[name], undisturbed[name], atol=1e-2) for name in undisturbed)


def _every_time(tick):
    return lambda self, force=False: tick(self, True)


def _until(reached: list[bool], real):
    def write(*arguments, **options):
        if len(reached) > 7:
            raise OSError(28, "No space left on device")
        return real(*arguments, **options)

    return write


def test_what_was_found_by_trying_is_that_of_this_recipe(recipe, tmp_path, monkeypatch):
    """A precision or a rate found for another recipe, or before --restart, is not taken for this one's."""
    first = lighten.train(recipe(epochs=1), tmp_path / "run")
    assert first["training"]["precision"] == "fp32"
    second = lighten.train(recipe(epochs=1, precision="bf16"), tmp_path / "run")
    assert second["training"]["precision"] == "bf16"
    rates = iter([1e-3, 2e-3, 3e-3])
    found = types.SimpleNamespace(reason="drawn", curve=[])
    monkeypatch.setattr(
        "lighten.tasks.settings.probe_rate", lambda *a, **k: setattr(found, "rate", next(rates)) or found
    )
    probed = [
        lighten.train(recipe(epochs=1, learning_rate="probe", clip=clip), tmp_path / "run") for clip in (1.0, 0.5)
    ]
    probed.append(lighten.train(recipe(epochs=1, learning_rate="probe", clip=0.5), tmp_path / "run", restart=True))
    assert [result["settings"]["learning_rate"] for result in probed] == [1e-3, 2e-3, 3e-3]


def test_what_was_found_by_trying_outlives_an_interruption(recipe, tmp_path, monkeypatch):
    asked = []

    def probe(*arguments, **options):
        asked.append(True)
        return types.SimpleNamespace(rate=2e-3, reason="drawn", curve=[])

    monkeypatch.setattr("lighten.tasks.settings.probe_rate", probe)
    with monkeypatch.context() as patched:
        interrupt(patched, 8, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            lighten.train(recipe(epochs=1, learning_rate="probe"), tmp_path / "run")
    result = lighten.train(recipe(epochs=1, learning_rate="probe"), tmp_path / "run")
    assert asked == [True] and result["settings"]["learning_rate"] == 2e-3


def test_every_training_in_a_folder_has_a_clock_of_its_own(recipe, tmp_path):
    """Another recipe is not left with what the one before did not use, nor one whose model was removed."""
    clock = {"budget": {"build_minutes": 0.15}}
    first = lighten.train(recipe(clock, epochs=None, soup=1), tmp_path / "run")
    other = lighten.train(recipe({**clock, "seed": 1}, epochs=None, soup=1), tmp_path / "run")
    (tmp_path / "run/model/config.json").unlink()
    again = lighten.train(recipe({**clock, "seed": 1}, epochs=None, soup=1), tmp_path / "run")
    for result in (first, other, again):
        assert result["training"]["seconds"] > 2 and result["clock"]["used_seconds"] < 9 * 1.2


def test_a_member_of_another_soup_is_refused_before_anything_is_trained(recipe, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        interrupt(patched, 8, Power())
        with pytest.raises(Power):
            lighten.train(recipe(epochs=1), tmp_path / "run")
    work = tmp_path / "run/work"
    (work / "checkpoints").rename(work / "checkpoints-1")
    with pytest.raises(InputError, match=r"another training .*--restart") as caught:
        lighten.train(recipe(epochs=1, clip=0.5), tmp_path / "run")
    assert "checkpoints-1" in str(caught.value.where) and not (work / "checkpoints").exists()


def test_starting_anew_with_a_bad_recipe_loses_no_result(recipe, tmp_path):
    lighten.train(recipe(epochs=1), tmp_path / "run")
    before = (tmp_path / "run/result.json").read_bytes()
    with pytest.raises(InputError):
        lighten.train({**recipe(epochs=1), "model": "nowhere"}, tmp_path / "run", restart=True)
    assert (tmp_path / "run/result.json").read_bytes() == before

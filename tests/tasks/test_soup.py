"""Several trainings and the average of their weights."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.tasks.conftest import weights_of
from tests.tasks.test_resume import Power, interrupt

import lighten
from lighten.errors import BuildError, InputError
from lighten.recipe import parse_recipe
from lighten.tasks.soup import Member, mean, members_in, seed_of, stir
from lighten.train.settings import Look, Report


def report(score: float, steps: int = 10) -> Report:
    history = [{"step": steps, "seconds": 2.0, "loss": None, "lr": 0.0, "validation": score}]
    return Report(2.0, steps, 1.0, 100.0, 0.0, "fp32", "", score, steps, "clock", history)


def members(folder: Path, values: list[float], losses: list[float]) -> list[Member]:
    found = []
    for number, (value, loss) in enumerate(zip(values, losses, strict=True)):
        (folder / str(number)).mkdir(parents=True)
        save_file({"w": torch.full((2,), value)}, folder / str(number) / "weights.safetensors")
        found.append(Member(folder / str(number), report(50.0), Look(50.0, loss)))
    return found


def test_the_mean_of_weights_is_that_of_each_number(tmp_path):
    states = [{"w": torch.randn(3, 4), "ids": torch.arange(3)} for _ in range(5)]
    for number, state in enumerate(states):
        save_file(state, tmp_path / f"{number}.safetensors")
    found = mean(sorted(tmp_path.iterdir()))
    assert torch.allclose(found["w"], sum(state["w"] for state in states) / 5, atol=1e-6)
    assert torch.equal(found["ids"], torch.arange(3))


def test_all_are_averaged_where_that_is_no_worse_than_the_best(tmp_path):
    weights, look, kept = stir(
        members(tmp_path, [0.0, 2.0], [0.5, 0.6]), lambda state: Look(1.0, abs(float(state["w"][0]) - 1) + 0.5)
    )
    assert kept == [0, 1] and look.loss == 0.5 and float(weights["w"][0]) == 1.0


def test_a_member_that_hurts_is_left_out(tmp_path):
    """The best one and the second lie around the optimum, the third far away."""

    def judge(state):
        return Look(1.0, abs(float(state["w"][0]) - 1.0))

    weights, look, kept = stir(members(tmp_path, [1.5, 100.0, 0.5], [0.5, 99.0, 0.5]), judge)
    assert kept == [0, 2] and float(weights["w"][0]) == 1.0 and look.loss == 0.0


def test_no_look_is_done_twice_or_without_time(tmp_path):
    """Looks: at all of them, at each pair with the best; the best alone and all of them are known by then."""
    looked = []

    def judge(state):
        looked.append(float(state["w"][0]))
        return Look(1.0, abs(looked[-1] - 1.0))

    three = members(tmp_path, [1.5, 100.0, 0.5], [0.5, 99.0, 0.5])
    stir(three, judge)
    assert looked == [34.0, 1.0]  # the mean of all; the pair that is kept, the last there was
    looked.clear()
    weights, look, kept = stir(three, judge, room=lambda: False)
    assert looked == [34.0, 1.5] and kept == [0] and look.loss == 0.5 and float(weights["w"][0]) == 1.5


def test_what_was_looked_at_last_is_what_is_kept(tmp_path):
    looked = []

    def judge(state):
        looked.append(float(state["w"][0]))
        return Look(1.0, abs(looked[-1] - 1.0))

    four = members(tmp_path, [1.5, 0.5, 90.0, 100.0], [0.5, 0.5, 89.0, 99.0])
    weights, look, kept = stir(four, judge)
    assert kept == [0, 1] and looked[-1] == float(weights["w"][0]) == 1.0 and look.loss == 0.0
    assert looked == [48.0, 1.0, pytest.approx(92 / 3), pytest.approx(101.5 / 3 + 0.5 / 3), 1.0]


def test_how_many_the_clock_has_room_for():
    assert [members_in(seconds, 100.0) for seconds in (100.0, 140.0, 279.0, 280.0, 1e6)] == [1, 1, 1, 2, 8]
    assert members_in(None, 100.0) == 1 and seed_of(5, 0) == 5


def test_the_result_is_the_average_of_trainings_done_alone(recipe, tmp_path):
    both = lighten.train(recipe(epochs=1, soup=2, dropout=0.1), tmp_path / "both")
    told = both["training"]["soup"]
    assert told["members"] == 2 and len(told["validation"]) == 2
    alone = lighten.train(recipe(epochs=1, dropout=0.1), tmp_path / "alone")
    assert told["validation"][0] == alone["training"]["history"][-1]["validation"]
    assert both["training"]["steps"] == 2 * alone["training"]["steps"]
    steps = [row["step"] for row in both["training"]["history"]]
    assert steps == sorted(steps)
    lines = [json.loads(line) for line in (both.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == steps
    assert lines[-1]["validation"] == pytest.approx(both["quality"]["validation"]["value"], abs=0.01)
    assert not list((both.folder / "work").glob("checkpoints*")) and not (both.folder / "work/soup").exists()


def test_killed_in_the_second_of_three_it_goes_on_there(recipe, tmp_path, monkeypatch):
    wanted = recipe(epochs=1, soup=3, dropout=0.1)
    whole = lighten.train(wanted, tmp_path / "whole")
    steps = whole["training"]["steps"] // 3
    done = []
    with monkeypatch.context() as patched:
        from lighten.tasks import members as room

        keep = room.Soup.keep

        def kept(self, number, *arguments):
            done.append(number)
            if not number:
                interrupt(patched, 8, Power())
            return keep(self, number, *arguments)

        patched.setattr(room.Soup, "keep", kept)
        with pytest.raises(Power):
            lighten.train(wanted, tmp_path / "run")
    assert done == [0] and steps > 8
    first = load_file(tmp_path / "run/work/soup/0/weights.safetensors")
    assert first
    again = lighten.train(wanted, tmp_path / "run")
    ended, undisturbed = weights_of(again.model_folder), weights_of(whole.model_folder)
    assert all(torch.equal(ended[name], undisturbed[name]) for name in undisturbed)
    assert again["quality"] == whole["quality"] and again["training"]["soup"] == whole["training"]["soup"]

    def records(result):
        found = [json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
        return [(record["step"], record["loss"], record["validation"]) for record in found]

    assert records(again) == records(whole)


def test_a_clock_is_shared_by_as_many_as_it_has_room_for(recipe, tmp_path):
    result = lighten.train(recipe({"budget": {"build_minutes": 0.1}}, epochs=None), tmp_path / "run")
    assert result["training"]["soup"]["members"] > 1
    alone = lighten.train(recipe({"budget": {"build_minutes": 0.1}}, epochs=None, soup=1), tmp_path / "alone")
    assert alone["training"]["soup"] is None


def test_the_average_is_looked_at_once(recipe, tmp_path, monkeypatch):
    from lighten.tasks.classify import Classify

    looked, judged = [], []
    look, judge = Classify.look, Classify.judge
    monkeypatch.setattr(Classify, "look", lambda *a: (looked.append(1), look(*a))[1])

    def watched(self, model, part, precision):
        judged.append((model is None, part))
        return judge(self, model, part, precision)

    monkeypatch.setattr(Classify, "judge", watched)
    result = lighten.train(recipe(epochs=1, soup=2, validations_per_epoch=1), tmp_path / "run")
    assert judged == [(True, "validation"), (False, "test")]
    report = result["training"]
    both = report["soup"]["averaged"] == [0, 1]
    assert len(looked) == (3 if both else 4)  # each member, the average, and the better one where that was worse
    assert report["restored"] is False and 0 < report["seconds_of_looks"] < report["seconds"]
    assert result["quality"]["validation"]["value"] == pytest.approx(report["best"], abs=1e-3)


def test_a_clock_with_too_little_left_tries_no_more(recipe, tmp_path, monkeypatch):
    """Whether there is room follows from how long a look takes, and from what comes after it."""
    from lighten.tasks import members as room

    asked = []

    def stirred(found, judge, room):
        judge({})
        asked.append(room())
        return {}, Look(50.0, 0.5), [0]

    clock = SimpleNamespace(left=0.0)
    setup = SimpleNamespace(test_share=3.0, closing_seconds=2.0)
    now = iter([0.0, 10.0] * 2)
    monkeypatch.setattr(room, "stir", stirred)
    monkeypatch.setattr(room, "time", SimpleNamespace(monotonic=lambda: next(now)))
    monkeypatch.setattr(room.Members, "_validate", lambda *_: Look(50.0))
    model = SimpleNamespace(load_state_dict=lambda state: None, eval=lambda: None)
    training = SimpleNamespace(model=model, precision=None)
    job = SimpleNamespace(clock=clock, progress=None, work=tmp_path)
    soup = room.Members(job, setup, None, None, 2, "", [])
    # A look of ten seconds, another one, three times as long for the test, two and a half and two for the end.
    for left in (54.0, 55.0):
        clock.left = left
        soup._averaged(training, members(tmp_path / str(left), [1.0, 2.0], [0.5, 0.5]))
    assert asked == [False, True]


def test_a_full_disk_loses_no_training(recipe, tmp_path, monkeypatch):
    from lighten.tasks import soup as room

    wanted = recipe(epochs=1, soup=2, dropout=0.1)
    full = OSError(28, "No space left on device")
    with monkeypatch.context() as patched:

        def save(tensors, file):
            if "/1" in str(file) or "/.1." in str(file):
                raise full
            save_file(tensors, file)

        patched.setattr(room, "save_file", save)
        with pytest.raises(BuildError, match=r"cannot be saved: .*No space left"):
            lighten.train(wanted, tmp_path / "run")
    again = lighten.train(wanted, tmp_path / "run")
    whole = lighten.train(wanted, tmp_path / "whole")
    ended, undisturbed = weights_of(again.model_folder), weights_of(whole.model_folder)
    assert all(torch.equal(ended[name], undisturbed[name]) for name in undisturbed)


def test_metrics_that_cannot_be_written_lose_no_average(recipe, tmp_path, monkeypatch):
    from lighten.train.metrics import JsonLines

    def write(self, record):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(JsonLines, "write", write)
    result = lighten.train(recipe(epochs=1, soup=2), tmp_path / "run")
    assert result["training"]["soup"]["members"] == 2
    assert result["training"]["notes"][-1].startswith("metrics cannot be written")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"soup": 0}, "between 1 and 64"),
        ({"soup": 2, "lora": {"rank": 2}}, "cannot be averaged"),
        ({"soup": 2, "from_scratch": True}, "nothing in common"),
    ],
)
def test_what_cannot_be_averaged(recipe, changes, said):
    with pytest.raises(InputError, match=said):
        parse_recipe(recipe(**changes), [], where="recipe")

"""Cached activations of a training: chosen once, by one process, within the clock, and gone afterwards."""

from __future__ import annotations

import pytest
import torch
from tests.tasks.conftest import weights_of
from tests.tasks.test_resume import interrupt

import lighten
from lighten.errors import InputError
from lighten.progress import Progress
from lighten.tasks import frozen
from lighten.train import activations
from lighten.train.precision import Precision


def cached(recipe, **more):
    return recipe(**{"epochs": 1, "freeze": 1, "precision": "auto", **more})


def clocked(recipe, **more):
    return recipe({"budget": {"build_minutes": 1}}, **{"epochs": 1, "freeze": 1, "soup": 1, **more})


def test_the_number_format_is_chosen_once_for_all_attempts(recipe, tmp_path, monkeypatch):
    """Timed anew it could come out otherwise, and the rows with it."""
    formats = iter(["bf16", "fp32"])
    monkeypatch.setattr(frozen, "choose", lambda *_, **__: Precision(next(formats), "timed"))
    computed = []
    real = frozen.cache_activations

    def cache(*arguments, **options):
        computed.append(arguments[5].name)
        return real(*arguments, **options)

    monkeypatch.setattr(frozen, "cache_activations", cache)
    with monkeypatch.context() as patched:
        interrupt(patched, 8, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            lighten.train(cached(recipe), tmp_path / "run")
    frozen.forget_activations(tmp_path / "run/work")
    again = lighten.train(cached(recipe), tmp_path / "run")
    assert computed == ["bf16"] * 4
    whole = lighten.train(cached(recipe, precision="bf16"), tmp_path / "whole")
    assert again["quality"]["validation"]["n"] == whole["quality"]["validation"]["n"]


def test_a_resumed_training_is_bit_for_bit_the_undisturbed_one(recipe, tmp_path, monkeypatch):
    wanted = cached(recipe, precision="fp32", dropout=0.1)
    whole = lighten.train(wanted, tmp_path / "whole")
    with monkeypatch.context() as patched:
        interrupt(patched, 8, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            lighten.train(wanted, tmp_path / "run")
    # The disk has filled up since: what was decided stays.
    monkeypatch.setattr(frozen, "why_not_cache", lambda *_: "no room")
    again = weights_of(lighten.train(wanted, tmp_path / "run").model_folder)
    assert all(torch.equal(again[name], value) for name, value in weights_of(whole.model_folder).items())


def test_nothing_is_left_on_the_disk(recipe, tmp_path, monkeypatch):
    folder = tmp_path / "run/work/activations"
    folder.mkdir(parents=True)
    (folder / ".activations-0123.npy.abc").write_bytes(b"half")
    seen = []
    real = frozen.cache_activations

    def cache(*arguments, **options):
        seen.append(sorted(file.name for file in folder.iterdir() if file.name.startswith(".")))
        return real(*arguments, **options)

    monkeypatch.setattr(frozen, "cache_activations", cache)
    lighten.train(cached(recipe), tmp_path / "run")
    assert seen == [[], []] and not folder.exists()


class Notes(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def test_a_cache_that_would_eat_the_clock_is_given_up(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(frozen, "bottom_seconds", lambda *_: 30.0)
    told = Notes()
    result = lighten.train(clocked(recipe), tmp_path / "run", progress=told)
    assert result["data"]["cached"] is False
    given_up = "frozen layers run in every epoch: computing them once would take 30 of the"
    assert any(given_up in said for said in told.said)
    with pytest.raises(InputError, match=r"train.cache: computing them once would take 30 of the"):
        lighten.train(clocked(recipe, cache=True), tmp_path / "insists")
    monkeypatch.setattr(frozen, "bottom_seconds", lambda *_: 3.0)
    assert lighten.train(clocked(recipe), tmp_path / "short")["data"]["cached"] is True


def test_the_first_process_alone_computes(recipe, tmp_path, monkeypatch):
    inside, computed = [], []
    first = frozen.Job.__dataclass_fields__["group"].default_factory.first

    def watched(self, work):
        inside.append(1)
        try:
            return first(self, work)
        finally:
            inside.pop()

    real = activations._compute
    monkeypatch.setattr("lighten.tasks.parallel.Processes.first", watched)
    monkeypatch.setattr(activations, "_compute", lambda *a: (computed.append(len(inside)), real(*a)))
    lighten.train(cached(recipe), tmp_path / "run")
    assert computed == [1, 1]

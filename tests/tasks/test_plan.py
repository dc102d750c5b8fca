"""`lighten plan` measures as a process of the training would: its device, its threads; and makes nothing."""

from __future__ import annotations

import pytest
import torch

import lighten
from lighten.recipe import parse_recipe
from lighten.tasks import plan as room
from lighten.tasks.plan import plan
from lighten.train import activations
from lighten.train.parallel.group import Process


def planned(recipe):
    return plan(parse_recipe(recipe, [], where="recipe"))


@pytest.fixture
def seen(monkeypatch):
    """What the speed was measured on."""
    found = {}

    def measured_speed(model, setup, precision, seconds):
        found.update(device=next(model.parameters()).device.type, threads=torch.get_num_threads())
        return 1000.0, 0.5

    monkeypatch.setattr(room, "measured_speed", measured_speed)
    return found


def test_the_model_is_measured_on_the_device_of_the_process(recipe, seen, monkeypatch):
    """With a fixed format and fixed micro-batches nothing else would have moved it."""
    monkeypatch.setattr(Process, "device", torch.device("meta"))
    planned(recipe(epochs=1, precision="fp32", micro_tokens=64))
    assert seen["device"] == "meta"


def test_several_processes_are_measured_with_the_threads_of_one(recipe, seen, monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(room, "threads", lambda processes: 6 // processes)
    planned(recipe(epochs=1, parallel={"processes": 2}))
    assert seen["threads"] == 3 and torch.get_num_threads() == before
    planned(recipe(epochs=1))
    assert seen["threads"] == before


def test_frozen_layers_are_timed_and_not_computed(recipe, monkeypatch):
    def compute(*_):
        raise AssertionError("a plan has no use for activations")

    monkeypatch.setattr(activations, "_compute", compute)
    monkeypatch.setattr("lighten.tasks.frozen.bottom_seconds", lambda *_: 1000.0)
    found = planned(recipe(epochs=1, freeze=1, cache=True))
    plain = planned(recipe(epochs=1, freeze=1, cache=False))
    assert found["predicted"]["seconds"] > 1000 > plain["predicted"]["seconds"]
    assert found["predicted"]["parts"]["parameters"] < plain["predicted"]["parts"]["parameters"]  # the top alone


def test_the_public_function_answers(recipe):
    assert lighten.plan(recipe(epochs=1, freeze=1))["predicted"]["seconds"] > 0

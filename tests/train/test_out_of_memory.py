"""Memory that runs out in mid-training: smaller micro-batches, the same training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.helpers.tiny_training import TinyTask
from tests.helpers.training import FAST, Killed, identical, weights

from lighten.errors import BuildError
from lighten.train.checkpoint import Checkpoints
from lighten.train.objectives import Classification

CPU = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"
ERRORS = {"gpu": torch.OutOfMemoryError("CUDA out of memory."), "cpu": RuntimeError(f"{CPU} 68719476736 bytes.")}


@pytest.fixture(scope="module")
def task() -> TinyTask:
    return TinyTask()


class _FailsBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, loss, error):
        ctx.error = error
        return loss.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ctx.error


class Tight(Classification):
    """A device that holds so many tokens; from some step on, or from the beginning."""

    def __init__(self, labels, tokens: int, error: Exception, backward: bool = False) -> None:
        super().__init__(labels)
        self.tokens, self.error, self.backward = tokens, error, backward
        self.sizes: list[int] = []

    def loss(self, model, batch):
        if batch.ids.numel() <= self.tokens:
            self.sizes.append(batch.ids.numel())
            return super().loss(model, batch)
        if not self.backward:
            raise self.error
        return _FailsBackward.apply(super().loss(model, batch), self.error)


@pytest.fixture(scope="module")
def accumulating(task):
    """A training that takes 64 tokens at a time from the beginning."""
    training = task.training(replace(FAST, micro_tokens=64))
    return training.run(), weights(training)


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("kind", ERRORS)
def test_micro_batches_are_halved_and_training_goes_on(task, accumulating, kind, backward):
    objective = Tight(task.labels, 70, ERRORS[kind], backward)
    training = task.training(objective=objective)
    report = training.run()
    assert report.notes == ["out of memory: micro-batches of 64 tokens from step 0 on"]
    assert report.micro_tokens == 64 and max(objective.sizes) <= 64
    undisturbed, end = accumulating
    assert report.steps == undisturbed.steps and report.best == undisturbed.best
    assert identical(weights(training), end)  # nothing of the failed attempt is left in the gradients


def test_half_may_be_too_much_as_well(task):
    objective = Tight(task.labels, 35, ERRORS["gpu"])
    report = task.training(replace(FAST, epochs=1), objective=objective).run()
    assert [note.split(" from")[0] for note in report.notes] == [
        f"out of memory: micro-batches of {tokens} tokens" for tokens in (64, 32)
    ]
    assert report.micro_tokens == 32


class Late(Tight):
    """Memory that something else took in the middle of a step: its third micro-batch fails, once."""

    def loss(self, model, batch):
        if len(self.sizes) == 2 and self.error is not None:
            error, self.error = self.error, None
            raise error
        return super().loss(model, batch)


@pytest.mark.parametrize("kind", ERRORS)
def test_what_a_step_had_gathered_by_then_counts_once(task, kind):
    settings = replace(FAST, micro_tokens=64)
    training = task.training(settings, objective=Late(task.labels, 999, ERRORS[kind]), budget=256)
    report = training.run()
    assert report.notes == ["out of memory: micro-batches of 32 tokens from step 0 on"]
    calm = task.training(replace(FAST, micro_tokens=32), budget=256)
    calm.run()
    assert identical(weights(training), weights(calm))


def test_smaller_micro_batches_outlive_a_kill(task, tmp_path, monkeypatch, accumulating):
    monkeypatch.setattr(Checkpoints, "due", lambda self: killed.state.step == 5)

    def tick() -> None:
        if killed.state.step == 7:
            raise Killed

    killed = task.training(folder=tmp_path, objective=Tight(task.labels, 70, ERRORS["cpu"]), tick=tick)
    with pytest.raises(Killed):
        killed.run()
    monkeypatch.undo()
    training = task.training(folder=tmp_path, objective=Tight(task.labels, 70, ERRORS["cpu"]))
    report = training.run()
    assert len(report.notes) == 1 and report.micro_tokens == 64
    assert identical(weights(training), accumulating[1])


@pytest.mark.parametrize("kind", ERRORS)
def test_a_single_text_that_does_not_fit(task, kind):
    training = task.training(objective=Tight(task.labels, 2, ERRORS[kind]), name="student")
    with pytest.raises(
        BuildError, match=r"^student: a single text of \d+ tokens does not fit in memory; lower max_tokens"
    ):
        training.run()


def test_other_errors_are_not_taken_for_it(task):
    training = task.training(objective=Tight(task.labels, 70, RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        training.run()
    assert training.state.micro_tokens is None

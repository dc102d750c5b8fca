"""fp16: gradients that overflow skip a step and lower the factor on the loss; the factor outlives a kill."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.helpers.tiny_training import TinyTask
from tests.helpers.training import FAST, Killed, identical, weights

from lighten.errors import BuildError
from lighten.train.checkpoint import Checkpoints
from lighten.train.loop import LARGEST_SCALE
from lighten.train.objectives import Classification

HALF = replace(FAST, precision="fp16")


@pytest.fixture(scope="module")
def task() -> TinyTask:
    return TinyTask(count=48)


def watched(task, scale: float, settings=HALF, **options):
    """Return a training that begins at a scale, and what it notes after every step: scale, good steps, weights."""
    seen = []

    def tick() -> None:
        sample = torch.cat([p.detach().flatten() for p in training.model.parameters()])
        seen.append((training.state.loss_scale, training.state.good_steps, sample))

    training = task.training(settings, tick=tick, **options)
    training.state.loss_scale = scale
    return training, seen


def test_overflow_skips_steps_and_halves_the_scale_until_it_trains(task):
    training, seen = watched(task, 2.0**24, replace(HALF, epochs=8))
    start = torch.cat([p.detach().flatten() for p in training.model.parameters()]).clone()
    report = training.run()
    skipped = [number for number, (_, good, _) in enumerate(seen) if good == 0]
    assert 3 < len(skipped) < 24 and skipped[:4] == [0, 1, 2, 3]
    assert [seen[number][0] for number in skipped[:3]] == [2.0**23, 2.0**22, 2.0**21]
    assert torch.equal(seen[skipped[2]][2], start)  # nothing was applied
    assert not torch.equal(seen[-1][2], start) and torch.isfinite(seen[-1][2]).all()
    assert training.state.loss_scale == 2.0 ** (24 - len(skipped)) and report.notes == []
    losses = [entry["loss"] for entry in report.history if entry["loss"] is not None]
    assert losses[-1] < 0.85 * losses[0] and training.state.step == training.total_steps


def test_the_scale_changes_no_gradient_that_fits(task):
    """Twice the scale, and fp32: about the same weights."""
    ends = []
    for scale in (128.0, 256.0):
        training, _ = watched(task, scale)
        training.run()
        ends.append(torch.cat([p.detach().flatten() for p in training.model.parameters()]))
    plain = task.training(FAST)
    plain.run()
    whole = torch.cat([p.detach().flatten() for p in plain.model.parameters()])
    assert float((ends[0] - ends[1]).abs().max()) < 0.02
    assert float((ends[0] - whole).abs().mean()) < 0.01 and not torch.equal(ends[0], whole)


@pytest.mark.parametrize("clip", [1e9, 0.05])
def test_the_optimiser_sees_gradients_without_the_scale_clipped(task, clip):
    """AdamW's steps would hardly show a factor: look at the gradients it is given."""
    norms = {}
    for settings in (HALF, FAST):
        training, _ = watched(task, 1024.0, replace(settings, epochs=1, learning_rate=0.0, clip=clip))
        norms[settings.precision] = found = []
        step = training.optimizer.step

        def spy(training=training, step=step, found=found) -> None:
            grads = [p.grad for p in training.parameters if p.grad is not None]
            found.append(float(torch.nn.utils.get_total_norm(grads)))
            step()

        training.optimizer.step = spy
        training.run()
    assert len(norms["fp16"]) > 4 and norms["fp16"] == pytest.approx(norms["fp32"], rel=0.05)
    assert max(norms["fp16"]) <= 1.001 * clip


def test_after_a_thousand_good_steps_the_scale_doubles_up_to_a_limit(task):
    training, seen = watched(task, 64.0, replace(HALF, epochs=1))
    training.state.good_steps = 997
    training.run()
    assert [scale for scale, _, _ in seen[:5]] == [64.0, 64.0, 128.0, 128.0, 128.0]
    training, seen = watched(task, LARGEST_SCALE, replace(HALF, epochs=1, learning_rate=0.0))
    training.precision = replace(training.precision, name="fp32")
    training.state.good_steps = 999
    training.run()
    assert {scale for scale, _, _ in seen} == {LARGEST_SCALE}  # fp32 knows no scale


@pytest.mark.parametrize("kill", [2, 9])
def test_the_scale_outlives_a_kill(task, tmp_path, monkeypatch, kill):
    """Killed while it falls, and later."""
    monkeypatch.setattr(Checkpoints, "due", lambda self: self.folder is not None)
    whole, _ = watched(task, 2.0**22)
    whole.run()

    def tick() -> None:
        if killed.state.step == kill:
            raise Killed

    killed, _ = watched(task, 2.0**22, folder=tmp_path)
    killed.tick = tick
    with pytest.raises(Killed):
        killed.run()
    again = task.training(HALF, tmp_path)
    again.run()
    assert again.state.loss_scale == whole.state.loss_scale < 2.0**22
    assert again.state.good_steps == whole.state.good_steps
    assert identical(weights(again), weights(whole))


class Endless(Classification):
    """A gradient that overflows at any scale."""

    def loss(self, model, batch):
        loss = super().loss(model, batch)
        if loss.requires_grad:
            loss.register_hook(lambda gradient: gradient * float("inf"))
        return loss


def test_no_scale_is_small_enough(task):
    training = task.training(replace(HALF, epochs=20), objective=Endless(task.labels))
    with pytest.raises(BuildError, match=r"the gradients' norm became (inf|nan) at step 17; lower the learning rate"):
        training.run()
    assert np.log2(training.state.loss_scale) == -1

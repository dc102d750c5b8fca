"""Schedule-free AdamW against the paper's equations, and inside the loop."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.helpers.training import FAST, Killed, Task, identical, weights
from torch.distributed.tensor import DTensor, Replicate, Shard, init_device_mesh

from lighten.train import schedule_free
from lighten.train.schedule_free import ScheduleFreeAdamW

BETA1, BETA2, EPS = 0.9, 0.98, 1e-6
RATES = [1e-3, 3e-3, 1e-2, 1e-2, 1e-2, 5e-3, 5e-3, 1e-2]


def reference(start: float, gradients: list[float], rates: list[float], decay: float, r: float = 0.0):
    """One number at a time, with x, y and z kept apart as the paper writes them; returns y and x of every step."""
    x = z = start
    v = total = largest = 0.0
    ys, xs = [], []
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        y = (1 - BETA1) * z + BETA1 * x
        v = BETA2 * v + (1 - BETA2) * gradient**2
        update = gradient / ((v / (1 - BETA2**t)) ** 0.5 + EPS) + decay * y
        z = z - rate * update
        largest = max(largest, rate)
        weight = t**r * largest**2
        total += weight
        x = (1 - weight / total) * x + weight / total * z
        ys.append((1 - BETA1) * z + BETA1 * x)
        xs.append(x)
    return ys, xs


def drive(parameter: torch.nn.Parameter, optimizer: ScheduleFreeAdamW, gradients: torch.Tensor):
    """Yield the parameter after every step."""
    for gradient, rate in zip(gradients, RATES, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        parameter.grad = gradient.clone()
        optimizer.step()
        yield parameter.detach().clone()


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("r", [0.0, 1.0])
@pytest.mark.parametrize("block", [4, 1 << 17])
def test_it_follows_the_equations(decay, r, block, monkeypatch):
    monkeypatch.setattr(schedule_free, "BLOCK", block)
    torch.manual_seed(0)
    parameter = torch.nn.Parameter(torch.randn(3, 5, dtype=torch.float64))
    start, gradients = parameter.detach().clone(), torch.randn(len(RATES), 3, 5, dtype=torch.float64)
    optimizer = ScheduleFreeAdamW([parameter], betas=(BETA1, BETA2), eps=EPS, weight_decay=decay, r=r)
    seen = list(drive(parameter, optimizer, gradients))
    optimizer.eval()
    for row in range(3):
        for column in range(5):
            ys, xs = reference(float(start[row, column]), gradients[:, row, column].tolist(), RATES, decay, r)
            assert [float(value[row, column]) for value in seen] == pytest.approx(ys, rel=1e-12, abs=1e-14)
            assert float(parameter.detach()[row, column]) == pytest.approx(xs[-1], rel=1e-12, abs=1e-14)


def test_switching_there_and_back():
    torch.manual_seed(0)
    parameter = torch.nn.Parameter(torch.randn(50))
    optimizer = ScheduleFreeAdamW([parameter])
    *_, y = drive(parameter, optimizer, torch.randn(len(RATES), 50))
    optimizer.eval()
    x = parameter.detach().clone()
    optimizer.eval()  # twice is once
    assert torch.equal(parameter, x) and (x - y).abs().max() > 1e-4
    with pytest.raises(RuntimeError, match="train"):
        optimizer.step()
    optimizer.train()
    torch.testing.assert_close(parameter.detach(), y, rtol=1e-5, atol=1e-6)


def test_a_rate_of_zero_and_a_missing_gradient_change_nothing():
    first, second = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3))
    optimizer = ScheduleFreeAdamW([first, second], lr=0.0, weight_decay=0.1)
    first.grad = torch.ones(3)
    optimizer.step()
    assert torch.equal(first, torch.ones(3)) and torch.equal(second, torch.ones(3))
    assert not optimizer.state[second]
    optimizer.eval()
    assert torch.equal(second, torch.ones(3))


def test_it_refuses_a_beta_that_cannot_be_inverted():
    with pytest.raises(ValueError, match="betas"):
        ScheduleFreeAdamW([torch.nn.Parameter(torch.ones(1))], betas=(0.0, 0.9))


def test_it_minimises_a_quadratic():
    parameter = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = ScheduleFreeAdamW([parameter], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        (parameter - torch.tensor([1.0, 1.0])).square().sum().backward()
        optimizer.step()
    optimizer.eval()
    torch.testing.assert_close(parameter.detach(), torch.ones(2), atol=0.02, rtol=0)


@pytest.fixture
def mesh(tmp_path):
    """A group of one process: placements and local parts are those of any number."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


def test_sharded_parameters_do_as_plain_ones(mesh):
    torch.manual_seed(0)
    start, gradients = torch.randn(6, 4), torch.randn(len(RATES), 6, 4)
    plain = torch.nn.Parameter(start.clone())
    *_, wanted = drive(plain, ScheduleFreeAdamW([plain], weight_decay=0.1), gradients)
    sharded = torch.nn.Parameter(DTensor.from_local(start.clone(), mesh, [Shard(0)]))
    optimizer = ScheduleFreeAdamW([sharded], weight_decay=0.1)
    for gradient, rate in zip(gradients, RATES, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        # One gradient laid out in another way than the parameter, as tensor parallel leaves some.
        sharded.grad = DTensor.from_local(gradient.clone(), mesh, [Replicate()])
        optimizer.step()
    assert isinstance(optimizer.state[sharded]["z"], DTensor)
    assert torch.equal(sharded.detach().to_local(), wanted)


@pytest.mark.parametrize("kill", [5, 14])
def test_a_resumed_training_ends_the_same(bert, tmp_path, kill):
    settings = replace(FAST, optimizer="schedule-free", schedule="constant", checkpoint_seconds=0.0)
    task = Task(bert, count=48)
    whole = task.training(settings)
    whole.run()

    def tick():
        if killed.state.step == kill:
            raise Killed

    killed = task.training(settings, tmp_path, tick=tick)
    killed.checkpoints.interval = 0.0
    with pytest.raises(Killed):
        killed.run()
    again = task.training(settings, tmp_path)
    again.run()
    assert again.state.step == whole.state.step > kill
    assert identical(weights(again), weights(whole))
    group = again.optimizer.param_groups[0]
    assert group["steps"] == whole.state.step and not group["train_mode"]


def test_the_loop_validates_and_leaves_the_average(bert):
    settings = replace(FAST, optimizer="schedule-free", schedule="constant")
    task = Task(bert, count=48)
    modes = []
    training = task.training(settings, validate=lambda precision: float(_note(training, modes)))
    training.run()
    assert len(modes) > 2 and not any(modes)


def _note(training, modes) -> int:
    modes.append(training.optimizer.param_groups[0]["train_mode"])
    return 0

"""Probes leave no trace."""

from __future__ import annotations

import pytest
import torch

from lighten.train.probing import LONG, seconds_of, still_optimizer, untouched

CPU = torch.device("cpu")


class Carrying:
    """An objective with a state of its own."""

    def __init__(self) -> None:
        self.seen = torch.zeros(2)

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


def network():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.5))
    model[0].bias.requires_grad_(False)
    return model.train()


def test_everything_is_restored():
    model, objective = network(), Carrying()
    model[2].eval()
    model[0].weight.grad = torch.full((4, 4), 7.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random, pointer = torch.get_rng_state(), model[0].weight.data_ptr()
    with pytest.raises(KeyError), untouched(model, objective):
        assert model[0].weight.grad is None
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        model(torch.randn(8, 4)).square().sum().backward()
        optimizer.step()
        objective.seen += 1
        assert not torch.equal(model[0].weight, before["0.weight"])
        assert not torch.equal(model[1].running_mean, before["1.running_mean"])
        raise KeyError
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random) and model[0].weight.data_ptr() == pointer
    assert model[0].weight.grad.tolist() == [[7.0] * 4] * 4 and model[0].bias.grad is None
    assert model.training and model[1].training and not model[2].training
    assert objective.seen.tolist() == [0, 0]


def test_a_still_optimizer_moves_nothing():
    model = network()
    before = {name: value.clone() for name, value in model.named_parameters()}
    optimizer = still_optimizer(model)
    model(torch.randn(8, 4)).square().sum().backward()
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())


@pytest.mark.parametrize(
    ("spans", "seconds", "calls"), [([9, 0.3, 0.2], 9, 1), ([0.9, 0.3, 0.2], 0.2, 3), ([LONG, 0.3, 0.4], 0.3, 3)]
)
def test_the_shortest_time_counts_and_a_long_one_is_not_repeated(spans, seconds, calls):
    times, done = [], []
    for number, span in enumerate(spans):
        times += [100.0 * number, 100.0 * number + span]
    clock = iter(times)
    assert seconds_of(lambda: done.append(1), CPU, 2, lambda: next(clock)) == pytest.approx(seconds)
    assert len(done) == calls

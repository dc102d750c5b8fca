"""Weights that become zero while a model trains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import same_state

from lighten.compress import sparse as sparse_module
from lighten.compress.sparse_masks import Target, cubic
from lighten.compress.sparse_training import UPDATES, Carried, Pruner, prunable, weights_of
from lighten.compress.steps import Distil, Finetune, Layers, QuantisationAwareTraining, Sparsify
from lighten.models.checkpoint import read_config, read_state
from lighten.models.load import load_classifier
from lighten.train.checkpoint import Checkpoints

ONE_OF_FOUR = 0.25
"""Progress at which the cubic curve has taken out one of four, on the way to two."""


def weight(*values):
    return {"m": torch.nn.Parameter(torch.tensor([list(values)]))}


def step(pruner, gradient, progress, rate=0.0):
    """One step of plain gradient descent as the hooks see it."""
    (parameter,) = pruner.weights.values()
    parameter.grad = torch.tensor([list(map(float, gradient))])
    pruner.before_step()
    with torch.no_grad():
        parameter -= rate * parameter.grad
    pruner.after_step(progress)
    return parameter.detach()[0].tolist()


def test_magnitude_never_gives_back():
    pruner = Pruner(weight(1.0, 0.125, 3.0, 0.25), Target(0.5), "magnitude")
    assert step(pruner, (0, 0, 0, 0), 0.0) == [1.0, 0.125, 3.0, 0.25]
    assert step(pruner, (0, 0, 0, 0), ONE_OF_FOUR) == [1.0, 0.0, 3.0, 0.25]
    # The zero would become the largest; it is put back, and ranks lowest.
    assert step(pruner, (0, -90, 0, 0), 1.0, rate=1.0) == [1.0, 0.0, 3.0, 0.0]
    assert step(pruner, (0, -90, 0, -90), 1.0, rate=1.0) == [1.0, 0.0, 3.0, 0.0]


def test_movement_keeps_what_grows_and_may_give_back():
    pruner = Pruner(weight(5.0, 0.5, 1.0, 1.0), Target(0.5), "movement")
    # The largest shrinks, the smallest grows: descent moves against the gradient.
    assert step(pruner, (1, -1, 2, -2), ONE_OF_FOUR) == [0.0, 0.5, 1.0, 1.0]
    assert pruner.scores["m"][0].tolist() == [-5.0, 0.5, -2.0, 2.0]
    # Its value is kept aside, scored as if it were there, and comes back.
    assert step(pruner, (-2, 0, 1, 0), 1.0, rate=0.125) == [5.0, 0.0, 0.0, 1.0]
    assert pruner.scores["m"][0].tolist() == [5.0, 0.5, -3.0, 2.0]


def test_taylor_sums_what_the_loss_feels():
    pruner = Pruner(weight(5.0, 0.5, 1.0, 1.0), Target(0.5), "taylor")
    step(pruner, (0.1, -4, 1, 0), 0.0)
    assert step(pruner, (0.1, 4, 1, 0), 1.0) == [0.0, 0.5, 1.0, 0.0]
    assert pruner.scores["m"][0].tolist() == [1.0, 4.0, 2.0, 0.0]


@pytest.mark.parametrize("method", ["magnitude", "movement", "taylor"])
def test_zeros_follow_the_curve_and_reach_the_target_exactly(method):
    torch.manual_seed(0)
    weights = {name: torch.nn.Parameter(torch.randn(20, 40)) for name in "ab"}
    pruner = Pruner(weights, Target(0.73), method)
    seen = []
    for progress in np.linspace(-0.2, 1.0, 61):
        for value in weights.values():
            value.grad = torch.randn_like(value)
        pruner.before_step()
        with torch.no_grad():
            for value in weights.values():
                value -= 0.05 * value.grad
        pruner.after_step(progress)
        level = max(0, int(UPDATES * progress + 1e-9))
        zeros = sum(int((value == 0).sum()) for value in weights.values())
        assert zeros == round(0.73 * cubic(level / UPDATES) * 1600)
        seen.append(zeros)
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == round(0.73 * 1600)


@pytest.mark.parametrize("method", ["magnitude", "movement", "taylor"])
def test_state_goes_on_where_it_was(method):
    def fresh():
        torch.manual_seed(1)
        return Pruner({"m": torch.nn.Parameter(torch.randn(6, 8))}, Target(0.5), method)

    gradients = torch.randn(10, 6, 8)

    def run(pruner, steps):
        for at in steps:
            pruner.weights["m"].grad = gradients[at]
            pruner.before_step()
            with torch.no_grad():
                pruner.weights["m"] -= 0.1 * gradients[at]
            pruner.after_step((at + 1) / 10)

    whole, first, second = fresh(), fresh(), fresh()
    run(whole, range(10))
    run(first, range(5))
    with torch.no_grad():
        second.weights["m"].copy_(first.weights["m"])
    carried = Carried(object(), first)
    Carried(object(), second).load_state_dict({k: v.clone() for k, v in carried.state_dict().items()})
    run(second, range(5, 10))
    assert torch.equal(whole.weights["m"], second.weights["m"]) and whole.level == second.level


def test_an_objective_keeps_what_it_carries():
    class Objective:
        def loss(self, model, batch):
            return torch.tensor(3.0)

        def state_dict(self):
            return {"own": torch.tensor(7)}

        def load_state_dict(self, state):
            self.loaded = state

    objective = Objective()
    carried = Carried(objective, Pruner(weight(1.0, 2.0), Target(0.5), "magnitude"))
    carried.load_state_dict(carried.state_dict())
    assert objective.loaded == {"own": torch.tensor(7)} and carried.loss(None, None) == 3.0


def test_which_matrices(checkpoints):
    for kind, folder in checkpoints.items():
        model = load_classifier(folder, ["a", "b"], 0)
        found = weights_of(model)
        assert len(found) == (8 if kind == "modernbert" else 12) and all(
            value.dim() == 2 for value in found.values()
        ), kind
        left = [name for name in dict(model.named_parameters()) if name not in found]
        assert not [n for n in left if "layer." in n and n.endswith(".weight") and "norm" not in n.lower()]
        assert set(prunable(read_config(folder), "")) != set(found)


@pytest.mark.parametrize("method", ["magnitude", "movement", "taylor"])
def test_a_killed_training_goes_on(bert, tmp_path, make_context, monkeypatch, method):
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)
    step = Sparsify(sparsity=0.6, method=method, epochs=5, precision="fp32", learning_rate=1e-3)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    step.apply(bert, tmp_path / "whole", make_context())

    class Killed(Exception):
        pass

    ticks = []

    def tick():
        ticks.append(1)
        if len(ticks) == 20:
            raise Killed

    context = make_context(checkpoints=tmp_path / "state", tick=tick)
    with pytest.raises(Killed):
        step.apply(bert, tmp_path / "killed", context)
    assert (tmp_path / "state").exists() and not list((tmp_path / "killed").iterdir())
    rest = []
    step.apply(bert, tmp_path / "killed", replace(context, tick=lambda: rest.append(1)))
    assert 0 < len(rest) < len(ticks)  # it did not begin anew
    assert same_state(read_state(tmp_path / "whole"), read_state(tmp_path / "killed"))


def test_zeros_stay_zero_in_later_trainings(bert, tmp_path, make_context, teacher):
    context = make_context(teacher=teacher)
    folders = [tmp_path / str(i) for i in range(5)]
    for folder in folders:
        folder.mkdir()
    Sparsify(sparsity=0.8, schedule="one-shot").apply(bert, folders[0], context)
    Layers(count=1).apply(folders[0], folders[1], context)
    Distil(epochs=1, precision="fp32").apply(folders[1], folders[2], context)
    Finetune(epochs=1, precision="fp32").apply(folders[2], folders[3], context)
    QuantisationAwareTraining(epochs=1, precision="fp32").apply(folders[3], folders[4], context)
    states = [read_state(folder) for folder in folders[1:]]
    for name in prunable(read_config(folders[1]), "bert."):
        zeros = states[0][name] == 0
        assert zeros.mean() > 0.5
        for state in states[1:]:
            assert np.array_equal(state[name] == 0, zeros)
            assert not np.array_equal(state[name], states[0][name])


def test_a_dense_model_trains_as_before(bert, tmp_path, make_context):
    """No note, no hooks: what happens to be zero may grow."""
    (tmp_path / "model").mkdir()
    Finetune(epochs=1, precision="fp32").apply(bert, tmp_path / "model", make_context())
    assert not (tmp_path / "model/sparse.json").exists()


def test_no_earlier_look_is_restored_and_none_stops_it(bert, tmp_path, make_context, monkeypatch):
    """An earlier look had more weights: better, but not what was asked for."""
    trainings = []
    real = sparse_module.pruned

    def spy(training, *rest):
        trainings.append(training)
        return real(training, *rest)

    monkeypatch.setattr(sparse_module, "pruned", spy)
    (tmp_path / "model").mkdir()
    report = Sparsify(sparsity=0.95, epochs=3, precision="fp32", learning_rate=5e-3).apply(
        bert, tmp_path / "model", make_context()
    )
    (training,) = trainings
    assert training.settings.patience is None and training.settings.restore_margin == float("inf")
    assert not report["restored"] and report["stopped"] == "steps"
    assert not training.optimizer._optimizer_step_post_hooks and not training.optimizer._optimizer_step_pre_hooks

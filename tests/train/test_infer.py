"""Bulk forward passes against one text at a time."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import KINDS

from lighten.models.load import load_classifier
from lighten.progress import Progress
from lighten.train.batches import Batch
from lighten.train.datasets.dataset import TextRows
from lighten.train.evaluate import losses_of
from lighten.train.infer import infer, infer_rows
from lighten.train.precision import Precision

FP32 = Precision("fp32", "asked for")


def some_ids(count: int, padding: int):
    rng = np.random.default_rng(0)
    return [rng.integers(padding + 1, 90, rng.integers(2, 40)).astype(np.int32) for _ in range(count)]


def one_by_one(model, encoded):
    """Return logits [n, classes] and a list of states [tokens, hidden]."""
    logits, states = [], []
    with torch.no_grad():
        for ids in encoded:
            tokens = torch.from_numpy(ids.astype(np.int64))[None]
            result = model(tokens, torch.ones_like(tokens), output_hidden_states=True)
            logits.append(result.logits[0])
            states.append(result.hidden_states[-1][0])
    return torch.stack(logits), states


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("budget", [1, 64, 100_000])
def test_equals_one_by_one_in_the_given_order(checkpoints, kind, budget):
    model = load_classifier(checkpoints[kind], ["a", "b"], 0, dropout=0.5).train()
    padding = int(model.config.pad_token_id)
    encoded = some_ids(37, padding)
    found = infer(model, encoded, padding, FP32, states=True, pooled=True, budget=budget)
    logits, states = one_by_one(model, encoded)
    assert torch.allclose(found.logits, logits, atol=1e-5)
    assert found.starts.tolist() == [0, *np.cumsum([len(ids) for ids in encoded]).tolist()]
    assert found.states.dtype is torch.float16 and found.pooled.dtype is torch.float32
    for text, wanted in enumerate(states):
        part = found.states[found.starts[text] : found.starts[text + 1]]
        assert torch.allclose(part.float(), wanted, atol=5e-3)
        assert torch.allclose(found.pooled[text], wanted.mean(0), atol=1e-5)


def test_what_is_not_asked_for_is_not_kept(bert):
    model = load_classifier(bert, ["a", "b"], 0)
    encoded = some_ids(5, 0)
    bare, pooled = infer(model, encoded, 0, FP32), infer(model, encoded, 0, FP32, pooled=True)
    assert bare.states is None and bare.pooled is None
    assert pooled.states is None and pooled.pooled.shape == (5, 32)
    assert torch.equal(bare.logits, pooled.logits)


def test_bf16_is_close_and_comes_back_as_float32(bert):
    model = load_classifier(bert, ["a", "b"], 0)
    encoded = some_ids(20, 0)
    exact = infer(model, encoded, 0, FP32, pooled=True)
    rough = infer(model, encoded, 0, Precision("bf16", "asked for"), pooled=True)
    assert rough.logits.dtype is torch.float32 and rough.pooled.dtype is torch.float32
    assert 0 < (rough.logits - exact.logits).abs().max() < 0.2 * exact.logits.std()


def test_no_texts(bert):
    found = infer(load_classifier(bert, ["a", "b", "c"], 0), [], 0, FP32, states=True, pooled=True)
    assert found.logits.shape == (0, 3) and found.starts.tolist() == [0]


def test_progress_and_clock_are_told(bert):
    model, encoded = load_classifier(bert, ["a", "b"], 0), some_ids(30, 0)
    seen, ticks = [], []

    class Watch(Progress):
        def show(self, stage):
            seen.append((stage.done, stage.total))

    with Watch().stage("x") as stage:
        infer(model, encoded, 0, FP32, budget=100, stage=stage, tick=lambda: ticks.append(1))
    total = sum(len(ids) for ids in encoded)
    assert seen[-1] == (total, total) and len(seen) == len(ticks) > 5
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert not any(p.requires_grad and p.grad is not None for p in model.parameters())


class Far(torch.Tensor):
    """Stands for a tensor on a GPU: it is put into nothing that lies in the machine's memory."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function is torch.Tensor.cpu:
            with torch._C.DisableTorchFunctionSubclass():
                return args[0].as_subclass(torch.Tensor)
        if function is torch.Tensor.__setitem__:
            raise RuntimeError("tensors on different devices")
        return super().__torch_function__(function, types, args, kwargs or {})


class Moving(Batch):
    """A batch that knows where it was sent."""

    def to(self, device):
        sent.append(device.type)
        return replace(self, inputs={name: value.as_subclass(Far) for name, value in self.inputs.items()})


sent: list[str] = []


class FarRows(TextRows):
    def batch(self, index, epoch=0, limit=None):
        return Moving(**vars(super().batch(index, epoch, limit)))


class FarModel(torch.nn.Module):
    """Takes what was moved to its device only."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1, device="meta"))
        self.config = SimpleNamespace(num_labels=2)

    def forward(self, input_ids, attention_mask, output_hidden_states=False):
        assert isinstance(input_ids, Far) and isinstance(attention_mask, Far)
        states = input_ids.float()[..., None].expand(*input_ids.shape, 2)
        return SimpleNamespace(logits=states[:, 0], hidden_states=[states])


def test_a_model_on_another_device_gets_its_batches_there_and_answers_here():
    encoded = some_ids(20, 0)
    sent.clear()
    rows = FarRows(encoded, 0)
    found = infer_rows(FarModel(), rows, FP32, states=True, pooled=True, budget=64)
    assert len(sent) > 3 and set(sent) == {"meta"}
    for one in (found.logits, found.states, found.pooled):
        assert type(one) is torch.Tensor
    assert found.logits[:, 0].tolist() == [float(ids[0]) for ids in encoded]
    assert found.pooled[:, 0].tolist() == pytest.approx([float(ids.mean()) for ids in encoded])


def test_losses_are_computed_where_the_model_is():
    class Length:
        def loss(self, model, batch):
            assert isinstance(batch.ids, Far)
            return torch.tensor(float(len(batch.index)))

    sent.clear()
    found = losses_of(FarModel(), FarRows(some_ids(20, 0), 0), Length(), FP32, budget=64)
    assert found.mean == 1.0 and found.total == 20 and set(sent) == {"meta"}

"""Picked states and chunks against the obvious: all logits at once."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.language_models import CAUSAL, MASKED, SEQUENCES, VOCABULARY, language_model
from torch.nn import functional

from lighten.train.objectives.linear_loss import linear_cross_entropy
from lighten.train.objectives.token_loss import token_loss


def example(kind: str, share: float = 0.4, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, VOCABULARY, (3, 11), generator=generator)
    labels = torch.where(torch.rand(3, 11, generator=generator) < share, ids, -100)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    inputs["attention_mask"][1, 8:] = 0
    if kind in SEQUENCES:
        inputs["decoder_input_ids"] = torch.randint(5, VOCABULARY, (3, 11), generator=generator)
    return inputs, labels


def obvious(model, inputs, labels, smoothing=0.0):
    logits = model(**inputs).logits.float()
    return functional.cross_entropy(
        logits.reshape(-1, VOCABULARY), labels.reshape(-1), reduction="sum", label_smoothing=smoothing
    )


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("kind", [*MASKED, *CAUSAL, *SEQUENCES])
def test_loss_and_gradients_are_those_of_all_logits(kind):
    model = language_model(kind)
    inputs, labels = example(kind)
    for smoothing, chunk in ((0.0, None), (0.1, 4), (0.0, 1)):
        wanted = obvious(model, inputs, labels, smoothing)
        expected = gradients(model, wanted)
        loss = token_loss(model, inputs, labels, smoothing, chunk)
        assert loss.dtype == torch.float32 and loss.shape == ()
        assert float(loss) == pytest.approx(float(wanted), rel=1e-6)
        found = gradients(model, loss)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.allclose(found[name], value, atol=2e-5), name
    assert "forward" not in model.__dict__ and not model.base_model._forward_hooks


@pytest.mark.parametrize("kind", ["bert", "llama", "gemma2", "t5"])
def test_logits_of_a_chunk_are_the_most_that_exist(kind):
    model = language_model(kind)
    inputs, labels = example(kind)
    seen = []
    head = model.get_output_embeddings()
    head.register_forward_hook(lambda _, __, output: seen.append(output.numel() // VOCABULARY))
    token_loss(model, inputs, labels, chunk=5).backward()
    predicted = int((labels != -100).sum())
    # T5's head cannot be run again without its encoder; what is not predicted still costs nothing.
    assert 0 < max(seen) <= (predicted if kind == "t5" else 5) < labels.numel()


def test_a_wrapper_is_called_as_always():
    class Wrapper(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module, self.calls = module, 0

        def forward(self, **inputs):
            self.calls += 1
            return self.module(**inputs)

    wrapper = Wrapper(language_model("llama"))
    inputs, labels = example("llama")
    loss = token_loss(wrapper, inputs, labels, chunk=3)
    assert wrapper.calls == 1
    assert float(loss) == pytest.approx(float(obvious(wrapper.module, inputs, labels)), rel=1e-6)


@pytest.mark.parametrize("kind", ["bert", "llama", "t5"])
def test_nothing_to_predict_costs_nothing_and_still_has_gradients(kind):
    model = language_model(kind)
    inputs, labels = example(kind)
    loss = token_loss(model, inputs, torch.full_like(labels, -100))
    assert float(loss) == 0.0
    assert all(not value.any() for value in gradients(model, loss).values())


@pytest.mark.parametrize("kind", ["bert", "llama", "bart"])
def test_under_autocast_the_loss_is_fp32_and_near(kind):
    model = language_model(kind)
    inputs, labels = example(kind)
    wanted = gradients(model, obvious(model, inputs, labels))
    with torch.autocast("cpu", torch.bfloat16):
        loss = token_loss(model, inputs, labels, chunk=4)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(obvious(model, inputs, labels)), rel=0.02)
    found = gradients(model, loss)
    every = torch.cat([found[name].flatten() for name in wanted]), torch.cat([v.flatten() for v in wanted.values()])
    assert functional.cosine_similarity(*every, dim=0) > 0.99


@pytest.mark.parametrize("bias", [True, False])
def test_linear_cross_entropy_in_double_precision(bias):
    torch.manual_seed(0)
    states = torch.randn(7, 5, dtype=torch.double, requires_grad=True)
    weight = torch.randn(9, 5, dtype=torch.double, requires_grad=True)
    shift = torch.randn(9, dtype=torch.double, requires_grad=True) if bias else None
    wanted = torch.randint(0, 9, (7,))
    inputs = [value for value in (states, weight, shift) if value is not None]
    for smoothing in (0.0, 0.2):
        full = functional.cross_entropy(
            functional.linear(states, weight, shift), wanted, reduction="sum", label_smoothing=smoothing
        )
        loss = linear_cross_entropy(states, weight, shift, wanted, smoothing, chunk=3)
        assert float(loss) == pytest.approx(float(full), rel=1e-5)
        for found, right in zip(
            torch.autograd.grad(3 * loss, inputs), torch.autograd.grad(3 * full, inputs), strict=True
        ):
            assert torch.allclose(found, right, atol=1e-5)


def test_a_frozen_head_gets_no_gradient():
    states, weight = torch.randn(4, 5, requires_grad=True), torch.randn(9, 5)
    linear_cross_entropy(states, weight, None, torch.tensor([0, 1, 2, 3])).backward()
    assert states.grad is not None and weight.grad is None

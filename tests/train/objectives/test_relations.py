"""Relations, attention maps and states against loops over heads and tokens; a teacher that is its own student."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lighten.errors import InputError
from lighten.train.objectives.matching import attention_loss, attention_maps, map_layers, states_loss
from lighten.train.objectives.relations import relation_heads, relation_loss, relations

LENGTHS, TOKENS = [6, 1, 4], 6
MASK = torch.tensor([[1] * n + [0] * (TOKENS - n) for n in LENGTHS])


def vectors(width: int, seed: int) -> torch.Tensor:
    return torch.randn(3, TOKENS, width, generator=torch.Generator().manual_seed(seed))


def weights_of(first: torch.Tensor, second: torch.Tensor, scale: float) -> list[list[float]]:
    """softmax(first second^T / scale) of one head of one text, row by row."""
    rows = []
    for query in first.tolist():
        scores = [sum(a * b for a, b in zip(query, key, strict=True)) / scale for key in second.tolist()]
        total = sum(math.exp(score) for score in scores)
        rows.append([math.exp(score) / total for score in scores])
    return rows


def slow_relations(own: torch.Tensor, wanted: torch.Tensor, heads: int) -> list[float]:
    result = []
    for text, length in enumerate(LENGTHS):
        total = 0.0
        for head in range(heads):
            maps = []
            for each in (wanted, own):
                size = each.shape[-1] // heads
                part = each[text, :length, head * size : (head + 1) * size]
                maps.append(weights_of(part, part, math.sqrt(size)))
            for t, s in zip(*maps, strict=True):
                total += sum(p * math.log(p / q) for p, q in zip(t, s, strict=True))
        result.append(total / (heads * length))
    return result


@pytest.mark.parametrize(("student", "teacher", "heads"), [(8, 16, 4), (12, 8, 2), (6, 6, 1)])
def test_relations_of_other_widths_against_loops(student, teacher, heads):
    own, wanted = vectors(student, 0).requires_grad_(), vectors(teacher, 1)
    found = relation_loss(own, wanted, MASK, heads)
    assert found.tolist() == pytest.approx(slow_relations(own.detach(), wanted, heads), rel=1e-4, abs=1e-6)
    found.sum().backward()
    assert own.grad.isfinite().all()
    assert (own.grad[MASK == 0] == 0).all() and (own.grad[0] != 0).any()
    assert (own.grad[1] == 0).all(), "a single token relates to itself alone"


def test_the_gradient_is_that_of_finite_differences():
    own, wanted = vectors(8, 0).requires_grad_(), vectors(12, 1)
    relation_loss(own, wanted, MASK, 2).sum().backward()
    with torch.no_grad():
        for place in ((0, 0, 0), (0, 5, 7), (2, 3, 4)):
            changed = [own.detach().clone(), own.detach().clone()]
            changed[0][place] += 1e-2
            changed[1][place] -= 1e-2
            above, below = (relation_loss(each, wanted, MASK, 2).sum() for each in changed)
            assert float(own.grad[place]) == pytest.approx(float(above - below) / 2e-2, abs=1e-3)


def test_widths_that_heads_do_not_divide_are_filled_up():
    own, wanted = vectors(10, 0), vectors(7, 1)
    found = relation_loss(own, wanted, MASK, 3)
    filled = [torch.cat([each, torch.zeros(3, TOKENS, -each.shape[-1] % 3)], -1) for each in (own, wanted)]
    assert torch.allclose(found, relation_loss(*filled, MASK, 3))
    assert torch.allclose(relation_loss(own, own, MASK, 3), torch.zeros(3), atol=1e-6)


def test_padding_changes_nothing():
    own, wanted = vectors(8, 0), vectors(16, 1)
    together = relation_loss(own, wanted, MASK, 4)
    noisy = torch.where(MASK[..., None] == 0, 50.0, own)
    assert torch.equal(together, relation_loss(noisy, wanted, MASK, 4))
    alone = relation_loss(own[2:, :4], wanted[2:, :4], MASK[2:, :4], 4)
    assert float(alone) == pytest.approx(float(together[2]), rel=1e-5)
    assert (relations(own, MASK, 4).exp()[2, :, :, 4:] == 0).all()


def test_the_same_vectors_cost_nothing():
    own = vectors(8, 0).requires_grad_()
    loss = relation_loss(own, own.detach(), MASK, 2)
    assert torch.allclose(loss, torch.zeros(3), atol=1e-6)
    loss.sum().backward()
    assert torch.allclose(own.grad, torch.zeros_like(own), atol=1e-6)


def test_the_papers_heads():
    assert relation_heads(384, 768) == 48
    assert relation_heads(312, 384) == relation_heads(384, 312) == 24
    assert relation_heads(16, 32) == 2 and relation_heads(4, 4) == 1


@given(st.integers(1, 1024), st.integers(1, 1024))
def test_heads_suit_any_two_widths(student, teacher):
    heads = relation_heads(student, teacher)
    assert 1 <= heads <= 48 and (heads == 1 or min(student, teacher) // heads >= 8)


@pytest.mark.parametrize("kind", ["kl", "mse"])
def test_attention_maps_against_loops(kind):
    heads, width = 2, 8
    (q, k), (tq, tk) = ((vectors(width, seed), vectors(width, seed + 1)) for seed in (0, 2))
    found = attention_loss(attention_maps(q, k, MASK, heads), attention_maps(tq, tk, MASK, heads), MASK, kind)
    for text, length in enumerate(LENGTHS):
        total = 0.0
        for head in range(heads):
            cut = slice(head * 4, head * 4 + 4)
            own, wanted = (
                weights_of(a[text, :length, cut], b[text, :length, cut], 2.0) for a, b in ((q, k), (tq, tk))
            )
            for s, t in zip(own, wanted, strict=True):
                pairs = list(zip(t, s, strict=True))
                total += sum(p * math.log(p / r) if kind == "kl" else (p - r) ** 2 for p, r in pairs)
        assert float(found[text]) == pytest.approx(total / (heads * length), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("kind", ["kl", "mse"])
def test_other_head_counts_compare_means(kind):
    own, wanted = (
        attention_maps(vectors(8, 0), vectors(8, 1), MASK, 2),
        attention_maps(vectors(12, 2), vectors(12, 3), MASK, 4),
    )
    means = [each.exp().mean(1, keepdim=True) for each in (own, wanted)]
    found = attention_loss(own, wanted, MASK, kind)
    safe = [each.clamp(min=1e-30).log() for each in means]
    assert torch.allclose(found, attention_loss(*safe, MASK, kind), atol=1e-6)
    assert torch.allclose(attention_loss(wanted, wanted, MASK, kind), torch.zeros(3), atol=1e-6)


def test_states_against_a_loop():
    own, wanted = vectors(5, 0), vectors(5, 1)
    found = states_loss(own, wanted, MASK)
    for text, length in enumerate(LENGTHS):
        total = sum(float((own[text, token] - wanted[text, token]).square().sum()) for token in range(length))
        assert float(found[text]) == pytest.approx(total / (5 * length), rel=1e-5)
    assert (states_loss(own, own, MASK) == 0).all()


def test_layer_maps():
    assert map_layers("last", 3, 6) == ((3, 6),)
    assert map_layers("uniform", 3, 12) == ((1, 4), (2, 8), (3, 12))
    assert map_layers("uniform", 2, 2) == ((1, 1), (2, 2))
    assert map_layers({2: 5, 0: 0}, 2, 6) == ((0, 0), (2, 5))
    with pytest.raises(InputError, match="the student has layers 1 to 2"):
        map_layers({3: 1}, 2, 6)
    with pytest.raises(InputError, match="the teacher has layers 1 to 6"):
        map_layers({1: 7}, 2, 6)
    with pytest.raises(InputError, match="empty"):
        map_layers({}, 2, 6)

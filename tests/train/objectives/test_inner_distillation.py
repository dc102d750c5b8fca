"""What lies inside a real tiny model: captured by hooks, cached or computed beside, compared term by term."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import KINDS, make_config, make_model

from lighten.train.batches import pad
from lighten.train.objectives import Distillation, InnerDistillation, Outputs
from lighten.train.objectives.capture import Features, capturing, qkv_modules
from lighten.train.objectives.inner_distillation import AttentionTerm, RelationsTerm, StatesTerm
from lighten.train.objectives.matching import attention_maps
from lighten.train.objectives.relations import relation_loss
from lighten.train.objectives.teachers import CachedFeatures, OnlineFeatures

PIECES, LENGTHS = 60, [7, 3, 5, 2]
ENCODED = [np.random.default_rng(n).integers(5, PIECES, n).astype(np.int32) for n in LENGTHS]


def model(kind: str = "bert", seed: int = 0, layers: int = 2, **changes):
    config = make_config(kind, PIECES, layers=layers)
    config.update(changes)
    return make_model(config, seed)


def narrow(seed: int = 3):
    return model(seed=seed, layers=1, hidden_size=24, num_attention_heads=3, intermediate_size=40)


def batch(index=(0, 2, 3)):
    return pad(ENCODED, np.array(index), 0)


def answers(weight: float = 0.0) -> Distillation:
    torch.manual_seed(5)
    return Distillation(torch.randn(4, 2), torch.tensor([0, 1, -1, 1]), 2.0, weight)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_maps_follow_from_captured_queries_and_keys(kind):
    own = model(kind)
    own.set_attn_implementation("eager")
    given = batch()
    with torch.no_grad(), capturing(own, [1, 2]) as qkv:
        result = own(**given.inputs, output_attentions=True)
    real = given.mask.bool()
    for layer in (1, 2):
        found = attention_maps(*qkv[layer][:2], given.mask, 4).exp()
        for row, length in enumerate(real.sum(1)):
            assert torch.allclose(
                found[row, :, :length, :length], result.attentions[layer - 1][row, :, :length, :length], atol=1e-5
            )
    assert not any(module._forward_hooks for layer in (1, 2) for module in qkv_modules(own, layer))


def test_types_without_queries_have_none():
    assert qkv_modules(model("modernbert"), 1) is None  # one module makes all three
    own = model()
    assert qkv_modules(own, 3) is None and len(qkv_modules(own, 2)) == 3
    own.config.model_type = "gpt2"
    assert qkv_modules(own, 1) is None


def online(teacher, states=(), qkv=()):
    return OnlineFeatures(teacher, ENCODED, 0, states, qkv)


def test_a_cache_gives_what_the_teacher_gives():
    teacher = model(seed=1)
    flat_states: dict[int, list] = {0: [], 2: []}
    flat_qkv: dict[int, list] = {1: []}
    for text in range(len(ENCODED)):
        found = online(teacher, (0, 2), (1,)).features(batch((text,)))
        for layer, values in found.states.items():
            flat_states[layer].append(values[0].half())
        flat_qkv[1].append([each[0].half() for each in found.qkv[1]])
    starts = torch.tensor([0, *np.cumsum(LENGTHS)])
    cache = CachedFeatures(
        starts,
        {layer: torch.cat(values) for layer, values in flat_states.items()},
        {1: tuple(torch.cat([each[part] for each in flat_qkv[1]]) for part in range(3))},
    )
    given = batch((3, 0, 2))
    kept, run = cache.features(given), online(teacher, (0, 2), (1,)).features(given)
    real = given.mask.bool()
    for layer in (0, 2):
        assert torch.allclose(kept.states[layer][real], run.states[layer][real], atol=1e-2)
        assert (kept.states[layer][~real] == 0).all()
    for ours, theirs in zip(kept.qkv[1], run.qkv[1], strict=True):
        assert torch.allclose(ours[real], theirs[real], atol=1e-2)


def test_a_student_that_is_its_teacher_has_nothing_to_learn_inside():
    own = model(seed=1)
    terms = [
        StatesTerm(((0, 0), (1, 1), (2, 2)), 3.0, (32, 32)),
        RelationsTerm(((2, 2),), 2.0, 4),
        AttentionTerm(((1, 1), (2, 2)), 1.0, (4, 4)),
    ]
    objective = InnerDistillation(answers(), online(model(seed=1), (0, 1, 2), (1, 2)), terms, inner_first=0.5)
    objective.at(0.2)
    assert objective.module is None
    loss = objective.loss(own, batch())
    assert float(loss.detach()) == pytest.approx(0, abs=1e-4)
    loss.backward()
    largest = max(float(p.grad.abs().max()) for p in own.parameters() if p.grad is not None)
    assert largest < 1e-3


def test_every_term_of_a_narrow_student_and_their_sum():
    teacher, own, given = model(seed=1), narrow(), batch()
    states = StatesTerm(((1, 2),), 0.5, (24, 32), seed=4)
    relation = RelationsTerm(((1, 2),), 2.0, 4)
    attention = AttentionTerm(((1, 1),), 3.0, (3, 4), "mse")
    source = online(teacher, (2,), (1, 2))
    soft = answers(0.7)
    objective = InnerDistillation(soft, source, [states, relation, attention])
    loss = objective.loss(own, given)
    with torch.no_grad():
        features = source.features(given)
        with capturing(own, [1]) as qkv:
            result = own(**given.inputs, output_hidden_states=True)
        mine = Features({1: result.hidden_states[1]}, qkv)
        wanted = soft(Outputs(result.logits, None, given.mask), given.index)
        for term in (states, relation, attention):
            wanted = wanted + term.weight * term(mine, features, given.mask)
        per_kind = [relation_loss(mine.qkv[1][part], features.qkv[2][part], given.mask, 4) for part in range(3)]
        assert torch.allclose(relation(mine, features, given.mask), sum(per_kind))
    assert float(loss.detach()) == pytest.approx(float(wanted.sum()), rel=1e-5)
    loss.backward()
    query = own.bert.encoder.layer[0].attention.self.query.weight.grad
    assert query is not None and (query != 0).any()
    projections = list(objective.module.parameters())
    assert len(projections) == 2 and all((p.grad != 0).any() for p in projections)
    assert all(p.grad is None for p in teacher.parameters()), "the teacher stays as it is"


def test_the_answers_wait_while_what_is_inside_is_learned_first():
    objective = InnerDistillation(answers(), online(model(seed=1), (), (2,)), [RelationsTerm(((1, 2),), 1.0, 2)], 0.25)
    own, given = narrow(), batch()
    objective.at(0.1)
    first = float(objective.loss(own, given).detach())
    objective.at(0.25)
    later = float(objective.loss(own, given).detach())
    logits = own(**given.inputs).logits
    soft = float(answers()(Outputs(logits, None, given.mask), given.index).sum().detach())
    assert later == pytest.approx(first + soft, rel=1e-5) and soft > 0

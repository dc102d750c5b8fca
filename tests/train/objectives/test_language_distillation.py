"""Distillation of language models against all logits at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.helpers.language_models import VOCABULARY, language_model
from torch.nn import functional

from lighten.errors import InputError
from lighten.train.batches import Batch, pad
from lighten.train.datasets.packed import PackedBlocks
from lighten.train.loop import Settings, Training
from lighten.train.objectives import LanguageDistillation, OnlineTeacher
from lighten.train.objectives.linear_divergence import Mixture, Soft, divergence, linear_divergence
from lighten.train.sampler import Sampler

TEXT = np.random.default_rng(0).integers(3, VOCABULARY, 40).astype(np.int32)
BLOCKS = PackedBlocks(TEXT, 9, starts=[0, 14, 25])


def obvious(student: torch.Tensor, teacher: torch.Tensor, wanted: torch.Tensor, mixture: Mixture) -> torch.Tensor:
    t = mixture.temperature
    soft = functional.kl_div(
        (student / t).log_softmax(-1), (teacher / t).log_softmax(-1), reduction="sum", log_target=True
    )
    return t * t * soft + mixture.label_weight * functional.cross_entropy(student, wanted, reduction="sum")


def of_few(student: torch.Tensor, teacher: torch.Tensor, ids: torch.Tensor, t: float) -> torch.Tensor:
    """KL between the likeliest tokens and all others in one bucket, one token at a time."""
    total = torch.zeros(())
    for own, other, kept in zip((student / t).softmax(-1), (teacher / t).softmax(-1), ids, strict=True):
        p, q = other[kept], own[kept]
        total = total + (p * (p / q).log()).sum() + (1 - p.sum()) * ((1 - p.sum()) / (1 - q.sum())).log()
    return t * t * total


def gradients(model) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


@pytest.mark.parametrize("chunk", [None, 5])
@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2", "granite", "bert"])
def test_it_is_the_divergence_of_all_logits(kind, chunk):
    """With heads that are one linear layer, and with caps, scales and dense layers behind the body."""
    student, teacher, batch = language_model(kind, 0), language_model(kind, 1), BLOCKS.batch(np.array([0, 2, 4]))
    mixture = Mixture(2.0, 0.3)
    loss = LanguageDistillation(teacher, 2.0, 0.3, chunk).loss(student, batch)
    loss.backward()
    found = gradients(student)
    labels = batch.targets["labels"].reshape(-1)
    kept = labels != -100
    own, other = (each(**batch.inputs, use_cache=False).logits.flatten(0, 1)[kept] for each in (student, teacher))
    wanted = obvious(own, other.detach(), labels[kept], mixture)
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)
    wanted.backward()
    expected = gradients(student)
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[name], expected[name], atol=1e-4) for name in found)
    assert all(p.grad is None for p in teacher.parameters())


def test_a_model_that_is_its_teacher_has_nothing_to_learn():
    student = language_model("llama", 1)
    loss = LanguageDistillation(language_model("llama", 1)).loss(student, BLOCKS.batch(np.array([1, 2])))
    assert float(loss.detach()) == pytest.approx(0, abs=1e-4)
    loss.backward()
    assert max(float(value.abs().max()) for value in gradients(student).values()) < 1e-4


def test_padded_texts_and_rows_that_predict_nothing():
    student, teacher = language_model("llama", 0), language_model("llama", 1)
    texts = [TEXT[:6], TEXT[6:9]]
    whole = LanguageDistillation(teacher).loss(student, pad(texts, np.arange(2), 0))
    alone = [LanguageDistillation(teacher).loss(student, pad(texts, np.array([i]), 0)) for i in range(2)]
    assert float(whole.detach()) == pytest.approx(float(sum(alone).detach()), rel=1e-4)
    batch = BLOCKS.batch(np.array([0]))
    none = Batch(batch.inputs, batch.index, 0.0, 9, {"labels": torch.full_like(batch.targets["labels"], -100)})
    nothing = LanguageDistillation(teacher).loss(student, none)
    nothing.backward()
    assert float(nothing.detach()) == 0


def test_a_student_of_fewer_pieces_learns_the_teachers_shares_of_those():
    teacher, student = language_model("llama", 1), language_model("llama", 0, vocab_size=50)
    pieces = torch.arange(50) + 20
    ids = TEXT[TEXT < 70] % 50
    batch = PackedBlocks(ids, 8).batch(np.array([0, 1]))
    loss = LanguageDistillation(OnlineTeacher(teacher, pieces)).loss(student, batch)
    own = student(**batch.inputs).logits.flatten(0, 1)
    other = teacher(pieces[batch.ids]).logits.flatten(0, 1)[:, pieces]
    wanted = obvious(own, other, batch.targets["labels"].reshape(-1), Mixture())
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)


@pytest.mark.parametrize("label_weight", [0.0, 0.4])
@pytest.mark.parametrize("t", [1.0, 2.5])
def test_likeliest_tokens_and_the_rest_together(t, label_weight):
    torch.manual_seed(0)
    student, teacher = torch.randn(6, 12, requires_grad=True), torch.randn(6, 12) * 2
    share = (teacher / t).log_softmax(-1)
    values, ids = share.topk(3, -1)
    rest = share.scatter(1, ids, float("-inf")).logsumexp(-1)
    wanted, mixture = torch.randint(0, 12, (6,)), Mixture(t, label_weight)
    loss, gradient = divergence(student.detach(), Soft(None, values, ids, rest), wanted, mixture)
    expected = of_few(student, teacher, ids, t)
    expected = expected + label_weight * functional.cross_entropy(student, wanted, reduction="sum")
    assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-4)
    assert torch.allclose(gradient, torch.autograd.grad(expected, student)[0], atol=1e-5)
    assert float(divergence(teacher, Soft(None, values, ids, rest), wanted, Mixture(t))[0]) == pytest.approx(
        0, abs=1e-4
    )


def test_chunks_of_a_linear_layer_give_the_same_gradients():
    torch.manual_seed(0)
    parts = [torch.randn(*shape, requires_grad=True) for shape in ((7, 4), (11, 4), (11,))]
    teacher, wanted, mixture = torch.randn(7, 11), torch.randint(0, 11, (7,)), Mixture(1.5, 0.2)
    loss = linear_divergence(*parts, lambda a, b: Soft(teacher[a:b]), wanted, mixture, 3)
    found = torch.autograd.grad(2 * loss, parts)
    plain = obvious(functional.linear(*parts), teacher, wanted, mixture)
    assert float(loss.detach()) == pytest.approx(float(plain.detach()), rel=1e-5)
    expected = torch.autograd.grad(2 * plain, parts)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))


def test_other_vocabularies_and_bad_numbers():
    student, teacher = language_model("llama"), language_model("llama", vocab_size=120)
    with pytest.raises(InputError, match="predicts 97 tokens and its teacher 120"):
        LanguageDistillation(teacher).loss(student, BLOCKS.batch(np.array([0])))
    with pytest.raises(InputError, match="temperature 0"):
        LanguageDistillation(teacher, temperature=0)
    with pytest.raises(InputError, match="no body whose states its head reads"):
        LanguageDistillation(language_model("t5")).loss(language_model("t5"), BLOCKS.batch(np.array([0])))


@pytest.mark.parametrize("kind", ["llama", "gemma2"])
def test_half_precision_is_near(kind):
    student, teacher, batch = language_model(kind, 0), language_model(kind, 1), BLOCKS.batch(np.array([0, 2]))
    objective = LanguageDistillation(teacher, 2.0, 0.3, chunk=5)
    objective.loss(student, batch).backward()
    exact = gradients(student)
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective.loss(student, batch)
    assert loss.dtype == torch.float32
    loss.backward()
    rough = gradients(student)
    for name, value in exact.items():
        assert float((rough[name] - value).norm()) < 0.2 * float(value.norm()) + 1e-3, name


def test_a_training_brings_the_student_nearer_to_its_teacher():
    teacher, student = language_model("llama", 1), language_model("llama", 0, num_hidden_layers=1, hidden_size=16)
    objective = LanguageDistillation(teacher)
    every = BLOCKS.batch(np.arange(len(BLOCKS.lengths)))
    before = float(objective.loss(student, every).detach()) / every.units
    settings = Settings(epochs=12, learning_rate=1e-2, precision="fp32", patience=None)
    Training(student, Sampler(BLOCKS, 27, 0), objective, lambda _: 0.0, settings).run()
    assert float(objective.loss(student.eval(), every).detach()) / every.units < 0.7 * before

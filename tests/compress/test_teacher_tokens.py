"""The cache of a language model's likeliest tokens, and text that a teacher writes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.helpers.language_models import VOCABULARY, language_model

from lighten.compress import teacher_tokens
from lighten.compress.sequences import written_by
from lighten.compress.teacher_tokens import CachedTokens, cache_tokens
from lighten.errors import InputError
from lighten.train.datasets.packed import PackedBlocks
from lighten.train.objectives import LanguageDistillation

TEXT = np.random.default_rng(0).integers(3, VOCABULARY, 60).astype(np.int32)


def blocks(text=TEXT) -> PackedBlocks:
    return PackedBlocks(text, 9, starts=[0, 14, 33])


def test_what_is_kept_is_what_the_teacher_says(tmp_path):
    teacher = language_model("llama", 1)
    metrics = cache_tokens(teacher, blocks(), tmp_path, top=5, temperature=2.0)
    tensors = load_file(tmp_path / "tokens.safetensors")
    assert tensors["values"].dtype == torch.float16 and tensors["ids"].dtype == torch.int32
    at = 0
    for number in range(len(blocks().lengths)):
        batch = blocks().batch(np.array([number]))
        logits = teacher(**batch.inputs, use_cache=False).logits[0][batch.targets["labels"][0] != -100]
        share = (logits.detach() / 2.0).softmax(-1)
        assert int(tensors["starts"][number]) == at
        for row in share:
            best = row.topk(5)
            assert tensors["ids"][at].tolist() == best.indices.tolist()
            assert torch.allclose(tensors["values"][at].float().exp(), best.values, atol=2e-3)
            assert float(tensors["rest"][at].exp()) == pytest.approx(float(1 - best.values.sum()), abs=1e-4)
            at += 1
    assert metrics["tokens"] == at == blocks().units(np.arange(len(blocks().lengths))) and 0 < metrics["covered"] < 1


def test_nearly_all_tokens_cached_lose_what_the_teacher_beside_loses(tmp_path):
    student, teacher = language_model("llama", 0), language_model("llama", 1)
    cache_tokens(teacher, blocks(), tmp_path, top=VOCABULARY - 1, temperature=2.0)
    batch = blocks().batch(np.array([4, 0, 2]))
    losses = []
    for source in (CachedTokens(tmp_path, blocks()), teacher):
        loss = LanguageDistillation(source, 2.0, chunk=4).loss(student, batch)
        loss.backward()
        losses.append((float(loss.detach()), student.lm_head.weight.grad.clone()))
        student.zero_grad()
    assert losses[0][0] == pytest.approx(losses[1][0], rel=2e-3)
    assert torch.allclose(losses[0][1], losses[1][1], atol=0.05)


def test_other_texts_teachers_and_temperatures_are_refused(tmp_path):
    teacher = language_model("llama", 1)
    cache_tokens(teacher, blocks(), tmp_path, top=4, weights="one")
    CachedTokens(tmp_path, blocks(), "one")
    with pytest.raises(InputError, match="another text"):
        CachedTokens(tmp_path, blocks(TEXT[::-1].copy()))
    with pytest.raises(InputError, match="another text, or other blocks"):
        CachedTokens(tmp_path, PackedBlocks(TEXT, 10, starts=[0, 14, 33]))
    with pytest.raises(InputError, match="another teacher"):
        CachedTokens(tmp_path, blocks(), "two")
    with pytest.raises(InputError, match="for temperature 1, not 2"):
        LanguageDistillation(CachedTokens(tmp_path, blocks()), 2.0).loss(teacher, blocks().batch(np.array([0])))
    with pytest.raises(InputError, match="cut to fewer tokens"):
        LanguageDistillation(CachedTokens(tmp_path, blocks())).loss(teacher, blocks().batch(np.array([0]), limit=4))
    with pytest.raises(InputError, match="cannot be read"):
        CachedTokens(tmp_path / "nowhere", blocks())


def test_caches_that_would_be_too_large(tmp_path, monkeypatch):
    teacher = language_model("llama")
    with pytest.raises(InputError, match="97 of them cannot be kept"):
        cache_tokens(teacher, blocks(), tmp_path, top=97)
    monkeypatch.setattr(teacher_tokens, "LIMIT", 1000)
    with pytest.raises(InputError, match="keep at most 2"):
        cache_tokens(teacher, blocks(), tmp_path, top=10)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_the_teacher_writes_what_it_writes_alone(kind):
    teacher = language_model(kind, 1)
    prompts = [TEXT[:4], TEXT[4:6], TEXT[6:13], TEXT[13:14]]
    found = written_by(teacher, prompts, 6, end_id=2, rows=3)
    for prompt, text in zip(prompts, found, strict=True):
        ids = torch.from_numpy(prompt.astype(np.int64))
        for _ in range(6):
            token = int(teacher(ids[None]).logits[0, -1].argmax())
            ids = torch.cat([ids, torch.tensor([token])])
            if token == 2:
                break
        assert text.tolist() == ids.tolist() and text.dtype == np.int32


def test_drawn_texts_follow_from_the_seed_and_the_end_token_ends_them():
    teacher = language_model("llama", 1)
    prompts = [TEXT[:3], TEXT[3:8], TEXT[8:9]]
    drawn = [written_by(teacher, prompts, 5, temperature=1.0, seed=seed, rows=2) for seed in (0, 0, 1)]
    assert all((a == b).all() for a, b in zip(drawn[0], drawn[1], strict=True))
    assert any(len(a) != len(b) or (a != b).any() for a, b in zip(drawn[0], drawn[2], strict=True))
    greedy = written_by(teacher, prompts[:1], 5, end_id=-1)[0]
    ended = written_by(teacher, prompts[:1], 5, end_id=int(greedy[3]))[0]
    assert ended.tolist() == greedy[:4].tolist()
    with pytest.raises(InputError, match="prompt 1: a prompt needs one token"):
        written_by(teacher, [TEXT[:2], TEXT[:0]], 5)
    with pytest.raises(InputError, match="new_tokens 0"):
        written_by(teacher, prompts, 0)

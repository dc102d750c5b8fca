"""Stages run one after the other in one process answer as the whole model does."""

from __future__ import annotations

import copy

import pytest
import torch
from tests.helpers.checkpoints import make_config, make_model, token_batch

from lighten.errors import InputError
from lighten.train.parallel.layers import layers_of, outside, stacks
from lighten.train.parallel.stage import Plan


def model_of(kind: str):
    if kind in ("llama", "qwen2", "gpt2"):
        from transformers import AutoConfig, AutoModelForSequenceClassification

        sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
        if kind == "gpt2":
            sizes = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
        else:
            sizes |= {"num_key_value_heads": 2, "max_position_embeddings": 64}
        torch.manual_seed(0)
        config = AutoConfig.for_model(kind, vocab_size=99, pad_token_id=0, num_labels=2, **sizes)
        return AutoModelForSequenceClassification.from_config(config).eval()
    return make_model(make_config(kind, 99, 1 if kind == "roberta" else 0, layers=3))


def batch(kind: str):
    ids, mask = token_batch(99, 4, 9, 1 if kind == "roberta" else 0)
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "distilbert", "llama", "qwen2"])
@pytest.mark.parametrize("parts", [[range(0, 1), range(1, 3)], [range(0, 1), range(1, 2), range(2, 3)]])
def test_stages_answer_as_the_whole(kind, parts):
    model, inputs = model_of(kind), batch(kind)
    wanted = model(**inputs).logits
    names: list[str] = []
    hidden = inputs["input_ids"]
    for number, part in enumerate(parts):
        last = number + 1 == len(parts)
        own = copy.deepcopy(model)
        plan = Plan(own, inputs)
        owners = plan.owners(parts)
        stage = plan.keep(part, number == 0, last)
        hidden = stage(hidden, **inputs)
        kept = list(own.state_dict())
        assert kept == [name for name in owners if owners[name] == number]
        names += kept
    assert torch.allclose(hidden, wanted, atol=1e-6)
    assert sorted(names) == sorted(model.state_dict())


def test_an_architecture_whose_layers_take_more_than_embeddings_give():
    with pytest.raises(InputError, match="cannot cut GPT2ForSequenceClassification: its first layer takes more"):
        Plan(model_of("gpt2"), batch("gpt2"))


def test_a_model_without_layers():
    with pytest.raises(InputError, match="cannot cut Linear: it has no stack of layers"):
        Plan(torch.nn.Linear(2, 2), {})


def test_layers_are_found_by_their_shape():
    model = model_of("bert")
    assert [name for name, _ in layers_of(model)] == [f"bert.encoder.layer.{i}" for i in range(3)]
    assert len(stacks(model)) == 1 and layers_of(torch.nn.Linear(2, 2)) == []
    around = [name for name, _ in outside(model, layers_of(model))]
    assert around == ["bert.embeddings", "bert.pooler", "classifier"]

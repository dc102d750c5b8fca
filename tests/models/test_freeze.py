"""Frozen layers, the top alone, activation checkpointing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.helpers.checkpoints import ALL_KINDS, make_config, make_model
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    GPT2Config,
    LlamaConfig,
    ModernBertConfig,
    T5Config,
)

from lighten.errors import InputError
from lighten.models.embeddings import Narrowing, narrowed
from lighten.models.freeze import (
    bottom_only,
    checkpoint_activations,
    freeze,
    keep_activations,
    layers_of,
    top_only,
)
from lighten.models.load import load_classifier

IDS = torch.tensor([[2, 20, 21, 22, 3], [2, 25, 3, 0, 0]])
MASK = (IDS != 0).long()
SMALL = {"vocab_size": 90, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def others() -> dict[str, Any]:
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
    torch.manual_seed(0)
    return {
        "llama": AutoModelForCausalLM.from_config(LlamaConfig(**SMALL, **sizes)),
        "gpt2": AutoModelForCausalLM.from_config(GPT2Config(**SMALL, n_embd=32, n_layer=3, n_head=4, n_positions=32)),
        "modernbert": AutoModelForMaskedLM.from_config(
            ModernBertConfig(**SMALL, **sizes, cls_token_id=2, sep_token_id=3)
        ),
        "t5": AutoModelForSeq2SeqLM.from_config(T5Config(**SMALL, d_model=32, d_kv=8, d_ff=48, num_layers=3)),
    }


def loss_of(model: Any) -> torch.Tensor:
    more = {"decoder_input_ids": IDS} if model.config.is_encoder_decoder else {}
    return model(input_ids=IDS, attention_mask=MASK, **more).logits.square().mean()


@pytest.fixture(params=ALL_KINDS)
def model(request) -> Any:
    return make_model(make_config(request.param, 90, padding=0, layers=3))


@pytest.mark.parametrize("kind", ["llama", "gpt2", "modernbert", "t5"])
def test_layers_of_other_architectures_are_found_and_frozen(kind):
    model = others()[kind].train()
    stack = layers_of(model)
    assert len(stack) == 3
    freeze(model, 2)
    loss_of(model).backward()
    assert all(p.grad is None for layer in stack[:2] for p in layer.parameters())
    assert model.get_input_embeddings().weight.grad is None
    assert all(p.grad is not None for p in stack[2].parameters())


def test_the_frozen_part_is_counted_and_the_rest_learns(model):
    count = freeze(model, 2)
    assert count == sum(p.numel() for p in model.parameters() if not p.requires_grad)
    loss_of(model.train()).backward()
    stack = layers_of(model)
    assert all(p.grad is None for layer in stack[:2] for p in layer.parameters())
    assert all(p.grad is None for p in model.base_model.embeddings.parameters())
    assert all(p.grad is not None for p in stack[2].parameters())


def test_layers_alone(model):
    freeze(model, 1, embeddings=False)
    loss_of(model.train()).backward()
    assert model.get_input_embeddings().weight.grad is not None
    assert all(p.grad is None for p in layers_of(model)[0].parameters())


def test_a_frozen_part_has_no_dropout_and_the_rest_keeps_it(bert):
    model = load_classifier(bert, ["a", "b"], 0, dropout=0.5).train()
    freeze(model, 1)
    with bottom_only(model, 1) as base, torch.no_grad():
        one, other = (base(input_ids=IDS, attention_mask=MASK).last_hidden_state for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(loss_of(model), loss_of(model))


def test_too_many_layers(model):
    for wrong in (4, -1):
        with pytest.raises(InputError, match=f"{wrong} layers cannot be frozen: the model has 3"):
            freeze(model, wrong)
    with pytest.raises(InputError, match="3 layers cannot be left out: the model has 3"), top_only(model, 3):
        pass


def test_a_model_without_layers():
    with pytest.raises(InputError, match="layers of model type 'Linear' cannot be found"):
        layers_of(torch.nn.Linear(2, 2))


def test_a_frozen_table_stays_frozen_when_narrowed(bert):
    model = load_classifier(bert, ["a", "b"], 0)
    freeze(model, 1)
    narrowing = Narrowing([IDS.numpy().ravel().astype("int32")], keep=[0])
    with narrowed(model, narrowing):
        assert not model.get_input_embeddings().weight.requires_grad


@pytest.mark.parametrize("kind", ["bert", "distilbert", "gpt2", "llama"])
def test_checkpointing_gives_the_same_gradients_above_a_frozen_bottom(kind):
    found = []
    for switched in (False, True):
        model = others()[kind] if kind in ("gpt2", "llama") else make_model(make_config(kind, 90, layers=3))
        model.train()
        freeze(model, 1)
        if switched:
            checkpoint_activations(model)
            assert any(getattr(layer, "gradient_checkpointing", False) for layer in layers_of(model))
        torch.manual_seed(5)  # dropout too must be the same when layers are run again
        loss_of(model).backward()
        found.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
        keep_activations(model)
        assert not any(getattr(layer, "gradient_checkpointing", False) for layer in layers_of(model))
    assert found[0].keys() == found[1].keys() and len(found[0]) > 10
    assert all(torch.allclose(found[0][name], found[1][name], atol=1e-7) for name in found[0])


def test_a_model_that_cannot_checkpoint(bert):
    model = load_classifier(bert, ["a", "b"], 0)
    model.activation_checkpointing_enable = lambda *args: (_ for _ in ()).throw(ValueError("no"))
    with pytest.raises(InputError, match="model type 'bert' has no gradient checkpointing"):
        checkpoint_activations(model)


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_bottom_and_top_together_are_the_model(model, cut):
    model.eval()
    names = list(model.state_dict())
    with torch.no_grad():
        whole = model(input_ids=IDS, attention_mask=MASK, output_hidden_states=True)
        with bottom_only(model, cut) as base:
            states = base(input_ids=IDS, attention_mask=MASK).last_hidden_state
        with top_only(model, cut):
            top = model(inputs_embeds=states, attention_mask=MASK, output_hidden_states=True)
            assert len(layers_of(model)) == 3 - cut
            assert not any("embeddings" in name for name, _ in model.named_parameters())
        again = model(input_ids=IDS, attention_mask=MASK, output_hidden_states=True)
    assert torch.allclose(top.logits, whole.logits, atol=1e-6)
    assert torch.allclose(top.hidden_states[-1], whole.hidden_states[-1], atol=1e-6)
    assert torch.equal(again.logits, whole.logits) and list(model.state_dict()) == names
    assert len(again.hidden_states) == len(whole.hidden_states) == 4


def test_hidden_states_first_asked_for_of_the_top_are_whole_later(model):
    with torch.no_grad():
        with top_only(model, 1):
            model(inputs_embeds=torch.zeros(1, 3, 32), output_hidden_states=True)
        assert len(model(input_ids=IDS, output_hidden_states=True).hidden_states) == 4


def test_the_model_is_whole_after_an_error(model):
    names = list(model.state_dict())
    with pytest.raises(KeyError), top_only(model, 1):
        raise KeyError
    with pytest.raises(KeyError), bottom_only(model, 1):
        raise KeyError
    assert list(model.state_dict()) == names


def test_the_top_wants_activations(model):
    with pytest.raises(InputError, match="takes inputs_embeds"), top_only(model, 1):
        model(input_ids=IDS)


def test_a_decoder_cannot_be_cut():
    with pytest.raises(InputError, match="model type 'llama' cannot be cut"), top_only(others()["llama"], 1):
        pass


def test_a_classifier_of_any_type_has_layers():
    config = LlamaConfig(**SMALL, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)
    assert len(layers_of(AutoModelForSequenceClassification.from_config(config))) == 2

"""LoRA: nothing at first, merged without a trace."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.helpers.checkpoints import KINDS, check_loads, make_config, make_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, GPT2Config, LlamaConfig

from lighten.errors import InputError
from lighten.models.freeze import checkpoint_activations
from lighten.models.load import load_classifier, save_classifier
from lighten.models.lora import LoraLinear, add_lora, merge_lora

IDS = torch.tensor([[2, 20, 21, 22, 3], [2, 25, 3, 0, 0]])
MASK = (IDS != 0).long()
SMALL = {"vocab_size": 90, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def make(kind: str) -> Any:
    torch.manual_seed(0)
    if kind == "llama":
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
        return AutoModelForCausalLM.from_config(LlamaConfig(**SMALL, **sizes, num_key_value_heads=2))
    if kind == "gpt2":
        config = GPT2Config(**SMALL, n_embd=32, n_layer=2, n_head=4, n_positions=32, attn_pdrop=0, resid_pdrop=0)
        return AutoModelForCausalLM.from_config(config)
    config = make_config(kind, 90, padding=0)
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout"):
        if hasattr(config, name):
            setattr(config, name, 0.0)
    return make_model(config)


def logits(model: Any) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model(input_ids=IDS, attention_mask=MASK).logits


def train(model: Any, steps: int = 5) -> None:
    """Some steps on an arbitrary goal."""
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    for _ in range(steps):
        model(input_ids=IDS, attention_mask=MASK).logits.square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


every = pytest.mark.parametrize("kind", [*KINDS, "llama", "gpt2"])


@every
def test_nothing_changes_at_first(kind):
    model = make(kind)
    before = logits(model)
    add_lora(model, 4, 8)
    assert torch.equal(logits(model), before)


@every
def test_merged_equals_unmerged_and_leaves_no_trace(kind):
    model = make(kind)
    names, kinds = list(model.state_dict()), [type(module) for module in model.modules()]
    start = {name: value.clone() for name, value in model.state_dict().items()}
    first = logits(model)
    add_lora(model, 4, 8)
    train(model)
    trained = logits(model)
    assert (trained - first).abs().max() > 1e-3
    assert merge_lora(model) == (2 if kind == "gpt2" else 4)
    assert (logits(model) - trained).abs().max() < 1e-6 * max(1.0, float(trained.abs().max()))
    assert list(model.state_dict()) == names and [type(module) for module in model.modules()] == kinds
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, start[name])]
    assert changed and all(
        name.split(".")[-2] in ("query", "value", "q_lin", "v_lin", "q_proj", "v_proj", "c_attn")
        or any(head in name for head in ("classifier", "pooler"))
        for name in changed
    )


@every
def test_what_is_trained(kind):
    model = make(kind)
    count = add_lora(model, 4, 8)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert count == sum(p.numel() for p in model.parameters() if p.requires_grad)
    heads = ("classifier.", "pre_classifier.", "bert.pooler.")
    assert {name for name in trained if not name.endswith((".up", ".down"))} == {
        name for name, _ in model.named_parameters() if name.startswith(heads)
    }
    assert merge_lora(model) and all(p.requires_grad for p in model.parameters())


@every
def test_gradients_through_checkpointed_activations(kind):
    found = []
    for switched in (False, True):
        model = make(kind)
        add_lora(model, 2, 4)
        if switched:
            checkpoint_activations(model)
        model.train()
        torch.manual_seed(3)
        model(input_ids=IDS, attention_mask=MASK).logits.square().mean().backward()
        found.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys() and any(name.endswith(".up") for name in found[0])
    assert all(torch.allclose(found[0][name], found[1][name], atol=1e-6) for name in found[0])


def test_the_seed_decides():
    states = []
    for seed in (1, 1, 2):
        model = make("bert")
        torch.manual_seed(len(states))  # whatever ran before does not matter
        add_lora(model, 3, 6, seed=seed)
        states.append(torch.cat([m.down.flatten() for m in model.modules() if isinstance(m, LoraLinear)]))
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


def test_targets_of_ones_own_and_a_language_models_head():
    model = make("bert")
    add_lora(model, 2, 4, targets=["dense", "key"])
    assert isinstance(model.bert.encoder.layer[0].attention.self.key, LoraLinear)
    assert isinstance(model.bert.encoder.layer[1].output.dense, LoraLinear)
    assert not isinstance(model.bert.encoder.layer[0].attention.self.query, LoraLinear)
    model = make("llama")
    add_lora(model, 2, 4, heads=["lm_head"])
    assert model.lm_head.weight.requires_grad


def test_dropout_is_on_the_added_product_alone():
    model = make("bert")
    add_lora(model, 2, 4, dropout=0.5)
    model.train()
    run = lambda: model(input_ids=IDS, attention_mask=MASK).logits  # noqa: E731
    assert torch.equal(run(), run())  # the added product is still zero
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, LoraLinear):
                module.up.fill_(0.3)
    assert not torch.equal(run(), run())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rank": 0}, "rank of LoRA must be at least 1 but is 0"),
        ({"dropout": 1.0}, "below 1 but is 1.0"),
        ({"targets": ["querry"]}, r"LoRA target 'querry': .* did you mean 'query'\?"),
        ({"targets": []}, "LoRA needs targets: name some of .*query"),
    ],
)
def test_bad_input(options, said):
    model = make("bert")
    with pytest.raises(InputError, match=said):
        add_lora(model, **{"rank": 4, "alpha": 8, **options})
    assert all(p.requires_grad for p in model.parameters())


def test_twice_is_refused_and_merging_nothing_does_nothing():
    model = make("bert")
    assert merge_lora(model) == 0
    add_lora(model, 2, 4)
    with pytest.raises(InputError, match="has LoRA already"):
        add_lora(model, 2, 4)


def test_the_checkpoint_is_an_ordinary_one(tmp_path, bert):
    model = load_classifier(bert, ["a", "b"], 0)
    add_lora(model, 4, 8)
    train(model)
    merge_lora(model)
    save_classifier(model, tmp_path, bert)
    check_loads(tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert torch.allclose(logits(plain), logits(model), atol=1e-6)


def test_what_the_checkpoint_lacked_is_trained_in_full(checkpoints):
    """A new masked-LM head, and the cross attention of a decoder made from an encoder: nothing random stays frozen."""
    from lighten.models.auto import load_auto
    from lighten.models.pretrained import drawn_in
    from lighten.models.warm_start import load_from_encoder

    for model in (load_auto(checkpoints["bert"], "masked", seed=0), load_from_encoder(checkpoints["bert"], seed=0)):
        drawn = drawn_in(model)
        assert drawn
        add_lora(model, 4, 8.0)
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        assert drawn & {name for name, _ in model.named_parameters()} <= trained
        added = {name for name in trained if name.endswith((".down", ".up"))}
        assert added and not any("crossattention" in name for name in added)
        body = [n for n, p in model.named_parameters() if not p.requires_grad]
        assert any(name.endswith("layer.0.attention.self.key.weight") for name in body)
    whole = make("bert")  # of random numbers by intent: nothing was loaded, so nothing is missing
    assert drawn_in(whole) == set()

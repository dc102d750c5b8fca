"""Whole models: windowed against the same model whose every score is masked, saved and loaded, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.helpers.checkpoints import make_config

from lighten.errors import InputError
from lighten.models.attention.apply import own_pattern, restore_attention, set_attention
from lighten.models.attention.pattern import NOTE, Pattern
from lighten.models.attention.reference import masked_sdpa
from lighten.models.attention.register import NAME, attention, padding, pattern_of, register
from lighten.models.load import load_classifier, suit_attention

PATTERNS = [Pattern(3, 1), Pattern(2, 2, dilation=2), Pattern(2, 1, random_blocks=1, block=4)]
KINDS = ("bert", "roberta", "electra", "distilbert")


def _model(kind: str, layers: int = 3) -> Any:
    from transformers import AutoModel

    torch.manual_seed(0)
    config = make_config(kind, 60, padding=1, layers=layers, attn_implementation="sdpa")
    return AutoModel.from_config(config).eval()


def _modernbert(layers: int = 4) -> Any:
    from transformers import AutoModel, ModernBertConfig

    torch.manual_seed(0)
    config = ModernBertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=48,
        local_attention=8,
        global_attn_every_n_layers=3,
        pad_token_id=1,
        bos_token_id=2,
        eos_token_id=3,
        cls_token_id=2,
        sep_token_id=3,
        initializer_range=0.15,
        attn_implementation="sdpa",
    )
    return AutoModel.from_config(config).eval()


def _batch(n: int = 45) -> dict[str, torch.Tensor]:
    ids = torch.randint(4, 60, (3, n), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, n // 2 :] = 0
    mask[2, 1:] = 0
    return {"input_ids": ids.masked_fill(mask == 0, 1), "attention_mask": mask}


def _masked(module: Any, q: Any, k: Any, v: Any, mask: Any, scaling: Any = None, **rest: Any) -> tuple[Any, None]:
    pattern = pattern_of(module, rest.get("sliding_window")) or Pattern(window=10_000, globals_=0)
    return masked_sdpa(q, k, v, mask, pattern, scaling).transpose(1, 2).contiguous(), None


def _outcome(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the last states of real tokens, and the gradients of one sum over them."""
    model.zero_grad()
    states = model(**batch).last_hidden_state[batch["attention_mask"].bool()]
    (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()
    return states.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def _assert_same(one: Any, other: Any) -> None:
    torch.testing.assert_close(one[0], other[0], atol=1e-5, rtol=1e-5)
    assert one[1].keys() == other[1].keys() and one[1]
    for name in one[1]:
        torch.testing.assert_close(one[1][name], other[1][name], atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "pattern", [Pattern(3, 1), Pattern(2, 2, dilation=2), Pattern(2, 1, random_blocks=1, block=4)]
)
def test_a_whole_model_equals_itself_with_masked_scores(kind: str, pattern: Pattern) -> None:
    from transformers import AttentionInterface, AttentionMaskInterface

    model, batch = _model(kind), _batch()
    set_attention(model, pattern, "LGL")
    found = _outcome(model, batch)
    AttentionInterface.register("test_masked", _masked)
    AttentionMaskInterface.register("test_masked", padding)
    model.set_attn_implementation("test_masked")
    _assert_same(found, _outcome(model, batch))
    model.set_attn_implementation("sdpa")
    assert (found[0] - _outcome(model, batch)[0]).abs().max() > 1e-3, "the pattern must change something"


def test_modernbert_computes_what_it_did_with_sdpa() -> None:
    model, batch = _modernbert(), _batch()
    before = _outcome(model, batch)
    set_attention(model)
    assert model.config._attn_implementation == NAME
    assert getattr(model.config, NOTE)["window"] == 4 and getattr(model.config, NOTE)["layers"] == "GLLG"
    _assert_same(_outcome(model, batch), before)


def test_modernbert_needs_no_note_for_its_own_windows() -> None:
    model, batch = _modernbert(), _batch()
    before = _outcome(model, batch)
    register()
    model.set_attn_implementation(NAME)
    _assert_same(_outcome(model, batch), before)


def test_a_window_over_the_text_is_full_attention() -> None:
    model, batch = _model("bert"), _batch()
    before = _outcome(model, batch)
    set_attention(model, Pattern(window=500, globals_=0))
    _assert_same(_outcome(model, batch), before)


def test_a_text_says_the_same_alone_and_in_a_batch() -> None:
    model = _model("bert")
    set_attention(model, Pattern(3, 1, random_blocks=2, block=2), "LLG")
    batch = _batch()
    alone = {name: x[1:2, :22] for name, x in batch.items()}
    with torch.no_grad():
        together, single = model(**batch).last_hidden_state[1, :22], model(**alone).last_hidden_state[0]
    torch.testing.assert_close(together, single, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [*KINDS, "modernbert"])
def test_a_row_of_padding_gives_numbers(kind: str) -> None:
    model = _modernbert() if kind == "modernbert" else _model(kind)
    set_attention(model, Pattern(3, 1), "LG")
    batch = _batch()
    batch["attention_mask"][1] = 0
    model.train()
    states = model(**batch).last_hidden_state
    states.sum().backward()
    assert torch.isfinite(states).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_saving_and_loading_keeps_the_pattern(tmp_path: Path, checkpoints: dict[str, Path]) -> None:
    model = load_classifier(checkpoints["bert"], ["good", "bad"], seed=0)
    assert not restore_attention(model)
    set_attention(model, Pattern(3, 1, dilation=2), "LG")
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((checkpoints["bert"] / name).read_bytes())
    again = load_classifier(folder, ["good", "bad"], seed=0)
    assert again.config._attn_implementation == NAME
    suit_attention(again, 20)
    assert again.config._attn_implementation == NAME
    ids = torch.randint(5, 40, (2, 40))
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(ids).logits, model.eval()(ids).logits)
    note = json.loads((folder / "config.json").read_text())[NOTE]
    assert note == {
        "window": 3,
        "globals": 1,
        "dilation": 2,
        "random_blocks": 0,
        "block": 64,
        "seed": 0,
        "layers": "LG",
    }


def test_plain_transformers_loads_it_with_full_attention(tmp_path: Path) -> None:
    from transformers import AutoModel

    model, batch = _model("bert"), _batch()
    full = _outcome(model, batch)[0]
    set_attention(model, Pattern(3, 1))
    model.save_pretrained(tmp_path)
    plain = AutoModel.from_pretrained(tmp_path, attn_implementation="sdpa").eval()
    torch.testing.assert_close(_outcome(plain, batch)[0], full)
    assert restore_attention(plain, tmp_path)
    torch.testing.assert_close(_outcome(plain, batch)[0], _outcome(model, batch)[0])


def test_the_last_layer_is_full_on_demand() -> None:
    model = _model("bert")
    set_attention(model, Pattern(3), "L", last_global=True)
    modules = [m for m in model.modules() if hasattr(m, "layer_idx") and "SelfAttention" in type(m).__name__]
    assert [pattern_of(m) is None for m in modules] == [False, False, True]


def test_random_blocks_differ_between_layers() -> None:
    model = _model("bert")
    set_attention(model, Pattern(3, random_blocks=1, block=4))
    modules = [m for m in model.modules() if getattr(m, "layer_idx", None) is not None]
    assert len({pattern_of(m).seed for m in modules}) == 3  # type: ignore[union-attr]


def test_what_cannot_be_is_refused() -> None:
    from transformers import AutoModel

    bert = _model("bert")
    with pytest.raises(InputError, match="has no windows of its own"):
        set_attention(bert)
    with pytest.raises(InputError, match="49 global tokens are more than the 48"):
        set_attention(bert, Pattern(3, 49))
    with pytest.raises(InputError, match="found 'X'"):
        set_attention(bert, Pattern(3), "LX")
    setattr(bert.config, NOTE, {"windov": 3})
    with pytest.raises(InputError, match="no key 'windov'; did you mean 'window'"):
        restore_attention(bert)
    decoder = _model("bert")
    decoder.config.is_decoder = True
    with pytest.raises(InputError, match="is a decoder"):
        set_attention(decoder, Pattern(3))
    other = AutoModel.from_config(make_config("mpnet", 60))
    with pytest.raises(InputError, match="model type 'mpnet' takes no windowed attention"):
        set_attention(other, Pattern(3))
    assert own_pattern(other.config) is None


def test_masks_between_tokens_are_refused() -> None:
    model, batch = _model("bert"), _batch()
    set_attention(model, Pattern(3))
    with pytest.raises(InputError, match="not one between tokens"):
        model(batch["input_ids"], attention_mask=torch.ones(3, 1, 45, 45))
    with pytest.raises(InputError, match="for encoders"):
        x = torch.zeros(1, 2, 3, 4)
        attention(torch.nn.Module(), x, x[:, :1], x[:, :1], None)

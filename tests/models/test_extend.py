"""Longer inputs: positions, tokenizer, config; and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import KINDS, POSITIONS, check_loads, token_batch, write_model, write_tokenizer
from tokenizers import Tokenizer
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer, ModernBertConfig

from lighten.errors import InputError
from lighten.models.attention.pattern import NOTE, Pattern, patterns_of
from lighten.models.auto import load_auto
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.extend import extend, write_extended
from lighten.models.extension import KINDS as KNOWN
from lighten.models.extension import Extension, limit_in, limit_of

TABLE = {kind: f"{kind}." for kind in KINDS}


@pytest.fixture
def target(tmp_path):
    (tmp_path / "longer").mkdir()
    return tmp_path / "longer"


@pytest.mark.parametrize("kind", TABLE)
@pytest.mark.parametrize("tokens", [48, 49, 96, 250])
def test_positions_repeat_behind_the_rows_of_padding(checkpoints, kind, tokens):
    config, state = read_config(checkpoints[kind]), read_state(checkpoints[kind])
    longer, result, facts = extend(config, state, Extension(tokens, window=8))
    name = f"{TABLE[kind]}embeddings.position_embeddings.weight"
    offset = 2 if kind == "roberta" else 0
    old, new = state[name], result[name]
    assert longer["max_position_embeddings"] == len(new) == tokens + offset
    assert np.array_equal(new[: len(old)], old)  # what was there stays: row 0 and padding's too
    for token in range(tokens):
        assert np.array_equal(new[offset + token], old[offset + token % POSITIONS])
    assert {n for n in result if not np.array_equal(result[n], state[n])} <= {name}
    assert facts == {"tokens": tokens, "before": 48, "window": 8, "globals": 1, "layers": "LL"}
    assert patterns_of(longer, 2) == (Pattern(8, 1), Pattern(8, 1))


def test_a_padding_id_elsewhere_moves_the_offset(tmp_path):
    folder = write_model(tmp_path / "model", "roberta", padding=5)
    longer, result, _ = extend(read_config(folder), read_state(folder), Extension(100, window=8))
    old = read_state(folder)["roberta.embeddings.position_embeddings.weight"]
    new = result["roberta.embeddings.position_embeddings.weight"]
    assert limit_of(longer) == 100 and len(new) == 106
    assert np.array_equal(new[6 + 48 : 6 + 96], old[6:]) and np.array_equal(new[:54], old)


@pytest.mark.parametrize("kind", TABLE)
def test_a_window_over_the_whole_text_changes_no_answer(checkpoints, target, kind):
    """In plain transformers, which ignores the window and so has full attention."""
    write_extended(checkpoints[kind], target, Extension(256))
    check_loads(target)
    ids = torch.randint(10, 60, (2, 40), generator=torch.Generator().manual_seed(0))
    folders = (checkpoints[kind], target)
    before, after = (AutoModelForSequenceClassification.from_pretrained(folder).eval() for folder in folders)
    with torch.no_grad():
        assert torch.allclose(before(ids).logits, after(ids).logits, atol=1e-5)
        assert after(ids.repeat(1, 6)).logits.isfinite().all()  # 240 tokens: five times the old limit
        with pytest.raises((IndexError, RuntimeError)):
            before(ids.repeat(1, 6))


def test_a_masked_language_model(tmp_path, bert, target):
    model = AutoModelForMaskedLM.from_config(AutoModelForSequenceClassification.from_pretrained(bert).config)
    folder = tmp_path / "masked"
    model.save_pretrained(folder)
    write_tokenizer(folder)
    write_extended(folder, target, Extension(100, 8))
    _, info = AutoModelForMaskedLM.from_pretrained(target, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]


def test_the_tokenizer_cuts_at_the_new_limit(bert, target):
    write_extended(bert, target, Extension(100, 8))
    assert json.loads((target / "tokenizer_config.json").read_text())["model_max_length"] == 100
    long = "the film " * 200
    assert len(AutoTokenizer.from_pretrained(target)(long, truncation=True)["input_ids"]) == 100
    longest = "the film " * 100_000  # 200,000 tokens
    assert len(Tokenizer.from_file(str(target / "tokenizer.json")).encode(longest).ids) == 100
    assert len(Tokenizer.from_file(str(bert / "tokenizer.json")).encode(long).ids) == 20  # as training had left it


def test_buffers_of_the_old_length_go(bert, target, tmp_path):
    config, state = read_config(bert), read_state(bert)
    state["bert.embeddings.position_ids"] = np.arange(48)[None]
    _, result, _ = extend(config, state, Extension(96, 8))
    assert "bert.embeddings.position_ids" not in result


def test_layers_of_two_kinds(bert):
    longer, _, facts = extend(read_config(bert), read_state(bert), Extension(96, 4, 3, "LG"))
    assert facts["layers"] == "LG" and patterns_of(longer, 2) == (Pattern(4, 3), None)
    assert longer[NOTE]["layers"] == "LG"


MODERN = {
    "model_type": "modernbert",
    "max_position_embeddings": 8192,
    "local_attention": 128,
    "global_attn_every_n_layers": 3,
    "num_hidden_layers": 7,
}


def test_what_was_extended_keeps_its_attention_unless_told_otherwise(bert):
    longer, state, _ = extend(read_config(bert), read_state(bert), Extension(96, 4, 3, "LG"))
    longest, _, facts = extend(longer, state, Extension(300))
    assert facts == {"tokens": 300, "before": 96, "window": 4, "globals": 3, "layers": "LG"}
    assert longest[NOTE] == longer[NOTE]
    assert extend(longer, state, Extension(300, window=5))[0][NOTE] == {**longer[NOTE], "window": 5}


def test_a_modernbert_answers_as_before(tmp_path, target):
    """Its own windows, computed by our attention, beside plain transformers."""
    pieces = write_tokenizer(tmp_path)
    torch.manual_seed(0)
    config = ModernBertConfig(
        vocab_size=pieces,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=64,
        local_attention=8,
        initializer_range=0.3,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        cls_token_id=2,
        sep_token_id=3,
        attn_implementation="sdpa",
    )
    model = AutoModelForSequenceClassification.from_config(config).eval()
    model.save_pretrained(tmp_path)
    facts = write_extended(tmp_path, target, Extension(200))
    assert facts == {"tokens": 200, "before": 64, "window": 4, "globals": 0, "layers": "GLLG"}
    check_loads(target)
    longer = load_auto(target, "classifier", seed=0, labels=["a", "b"]).eval()
    assert longer.config.max_position_embeddings == 200
    ids, mask = (torch.from_numpy(x) for x in token_batch(pieces, 3, 60, 0))
    with torch.no_grad():
        wanted, found = (one(input_ids=ids, attention_mask=mask).logits for one in (model, longer))
    assert wanted.std() > 0.01 and torch.allclose(wanted, found, atol=1e-4)


def test_rotary_positions_need_no_table():
    state = {"model.embeddings.tok_embeddings.weight": np.ones((4, 2), np.float32)}
    longer, result, facts = extend(MODERN, state, Extension(16384))
    assert result.keys() == state.keys() and longer["max_position_embeddings"] == 16384
    assert facts == {"tokens": 16384, "before": 8192, "window": 64, "globals": 0, "layers": "GLLGLLG"}
    assert longer["local_attention"] == 128 and "layer_types" not in longer
    longer, _, facts = extend(MODERN, state, Extension(8192, window=32, layers="LLG"))
    assert longer["local_attention"] == 64 and facts["layers"] == "LLGLLGL"
    assert longer["layer_types"] == ["sliding_attention", "sliding_attention", "full_attention"] * 2 + [
        "sliding_attention"
    ]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Extension(47), r"the model takes 48 tokens already; got tokens 47"),
        (Extension(96, window=0), r"window must be from 1 to below the 96 tokens of a text; got 0"),
        (Extension(96, window=96), r"window must be from 1 to below the 96 tokens of a text; got 96"),
        (Extension(96, window=-3), r"got -3"),
        (Extension(96), r"window must be .* got 128"),
        (Extension(96, 8, 96), r"globals must be from 0 to below the 96 tokens of a text; got 96"),
        (Extension(96, 8, -1), r"globals must be .* got -1"),
        (Extension(96, 8, 1, "LX"), r"'X'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(bert, target, wanted, said):
    with pytest.raises(InputError, match=said):
        write_extended(bert, target, wanted)
    assert not list(target.iterdir())


@pytest.mark.parametrize("kind", ["gpt2", "deberta", "bart", "modern-bert", None])
def test_types_that_cannot_be_extended_are_named(bert, kind):
    with pytest.raises(InputError, match=rf"config\.json: model type {kind!r} cannot be extended; those") as error:
        extend({**read_config(bert), "model_type": kind}, {}, Extension())
    assert all(known in str(error.value) for known in KNOWN)
    assert ("did you mean 'modernbert'" in str(error.value)) == (kind == "modern-bert")


def test_relative_positions_are_refused(bert):
    with pytest.raises(InputError, match="only absolute works"):
        extend({**read_config(bert), "position_embedding_type": "relative_key"}, read_state(bert), Extension())


def test_weights_without_the_table(bert):
    state = {n: v for n, v in read_state(bert).items() if "position" not in n}
    with pytest.raises(InputError, match=r"no bert\.embeddings\.position_embeddings\.weight"):
        extend(read_config(bert), state, Extension())
    with pytest.raises(InputError, match=r"'local_attention' must be a whole number of at least 2 but is '8'"):
        extend({**MODERN, "local_attention": "8"}, state, Extension(9000))
    with pytest.raises(InputError, match=r"'max_position_embeddings' must be a whole number but is None"):
        extend({**read_config(bert), "max_position_embeddings": None}, state, Extension())


def test_the_limit_in_a_folder(checkpoints, tmp_path):
    assert limit_in(checkpoints["roberta"], 512) == 48 and limit_in(checkpoints["bert"], 20) == 20
    assert limit_in(tmp_path, 512) == 512
    config, state = read_config(checkpoints["bert"]), read_state(checkpoints["bert"])
    write_checkpoint(tmp_path, {**config, "model_type": "llama"}, state, None)
    assert limit_in(tmp_path, 512) == 512


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Extension(100, 8, dilation=2), {"dilation": 2, "random_blocks": 0, "block": 64}),
        (Extension(300, 100, random_blocks=3), {"dilation": 1, "random_blocks": 3, "block": 100}),
        (Extension(300, 8, random_blocks=1), {"dilation": 1, "random_blocks": 1, "block": 64}),
    ],
)
def test_other_patterns_are_kept_by_the_next_extension(bert, tmp_path, wanted, said):
    for name in ("once", "twice"):
        (tmp_path / name).mkdir()
    write_extended(bert, tmp_path / "once", wanted)
    write_extended(tmp_path / "once", tmp_path / "twice", Extension(600))
    for name in ("once", "twice"):
        note = read_config(tmp_path / name)["lighten_attention"]
        assert {key: note[key] for key in said} == said


def test_random_blocks_grow_with_the_window(bert, tmp_path):
    """Smaller ones could not be exported."""
    for name in ("once", "twice"):
        (tmp_path / name).mkdir()
    write_extended(bert, tmp_path / "once", Extension(100, 8, random_blocks=1))
    write_extended(tmp_path / "once", tmp_path / "twice", Extension(600, 128))
    assert read_config(tmp_path / "twice")["lighten_attention"]["block"] == 128


def test_dilation_and_random_blocks_exclude_each_other(bert, tmp_path):
    with pytest.raises(InputError, match="exclude each other"):
        write_extended(bert, tmp_path, Extension(100, 8, dilation=2, random_blocks=1))

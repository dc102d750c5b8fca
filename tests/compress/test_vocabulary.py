"""The trimmed vocabulary."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.checkpoints import check_loads, vocabulary, write_model
from tests.helpers.trained_tokenizers import TEXT, train, write_trained
from transformers import AutoModelForCausalLM, LlamaConfig

from lighten.compress.steps import Vocabulary
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.tokens import read_tokenizer
from lighten.pipeline.files import read_json


def test_vocabulary(bert, target, make_context):
    context = make_context()
    metrics = Vocabulary().apply(bert, target, context)
    assert metrics["of"] == len(vocabulary(0)) and metrics["kept"] == read_config(target)["vocab_size"] < metrics["of"]
    assert metrics["more_tokens"] == 0.0
    before, after = (context.encode(folder, ["good"])[0].tolist() for folder in (bert, target))
    assert len(before) == len(after) and before != after
    check_loads(target)


def test_a_smaller_vocabulary_costs_tokens(bert, target, make_context):
    metrics = Vocabulary(size=75).apply(bert, target, make_context())
    assert metrics["kept"] == 75 and metrics["more_tokens"] > 0.1


def test_a_vocabulary_larger_than_the_models_table(tmp_path, target, make_context):
    """A tokenizer with more pieces than the model has rows: an error, no traceback."""
    source = write_model(tmp_path / "m", "bert")
    config = read_json(source / "config.json")
    state = read_state(source)
    table = "bert.embeddings.word_embeddings.weight"
    write_checkpoint(source, {**config, "vocab_size": 40}, {**state, table: state[table][:40]}, tokenizer=None)
    with pytest.raises(InputError, match=r"step 'vocabulary': ids must be between 0 and 39"):
        Vocabulary().apply(source, target, make_context())


@pytest.mark.parametrize(
    ("kind", "model"), [("bytes", "roberta"), ("unigram", "xlm-roberta"), ("unigram", "camembert")]
)
def test_byte_pairs_and_unigram(tmp_path, target, make_context, kind, model):
    source = write_trained(tmp_path / "m", kind, model)
    (source / "sentencepiece.bpe.model").write_text("the whole vocabulary")
    context = make_context()
    metrics = Vocabulary().apply(source, target, context)
    assert metrics["kept"] == read_config(target)["vocab_size"] < metrics["of"] and metrics["more_tokens"] >= 0
    assert metrics["left_out"] == ["sentencepiece.bpe.model"] and metrics["note"].startswith(
        "sentencepiece.bpe.model: "
    )
    assert not (target / "sentencepiece.bpe.model").exists()
    assert read_config(target)["pad_token_id"] == 1
    check_loads(target)
    for text in context.train.texts:
        assert read_tokenizer(source).encode(text).tokens == read_tokenizer(target).encode(text).tokens


def test_padding_that_is_no_token_of_its_own(tmp_path, target, make_context):
    """RoBERTa counts its positions from a token that this tokenizer does not have."""
    source = write_trained(tmp_path / "m", "bytes", "roberta")
    config = read_json(source / "config.json")
    write_checkpoint(source, {**config, "pad_token_id": config["vocab_size"] + 5}, read_state(source), tokenizer=None)
    with pytest.raises(InputError, match=r"step 'vocabulary': the padding token \(\d+\) must be kept"):
        Vocabulary().apply(source, target, make_context())


@pytest.mark.parametrize("tied", [True, False])
def test_a_decoder(tmp_path, target, make_context, tied):
    source = tmp_path / "m"
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    tokenizer = train("gpt2")
    ids = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    config = LlamaConfig(vocab_size=tokenizer.get_vocab_size(), tie_word_embeddings=tied, **sizes, **ids)
    AutoModelForCausalLM.from_config(config).save_pretrained(source)
    tokenizer.save(str(source / "tokenizer.json"))
    context = make_context()
    context.train.texts[:] = [" ".join(TEXT[:9])] * len(context.train.texts)  # longer than what is read at once
    metrics = Vocabulary().apply(source, target, context)
    model = AutoModelForCausalLM.from_pretrained(target)
    assert model.config.vocab_size == metrics["kept"] < metrics["of"]
    assert (model.config.eos_token_id, model.generation_config.eos_token_id) == (2, 2)
    for text in context.train.texts[:1]:
        assert read_tokenizer(target).encode(text).tokens == tokenizer.encode(text).tokens
    new = torch.tensor([read_tokenizer(target).encode(TEXT[0]).ids])
    assert model(new).logits.shape[-1] == metrics["kept"]

"""The trimmed vocabulary."""

from __future__ import annotations

import pytest
from tests.helpers.checkpoints import check_loads, vocabulary, write_model

from lighten.compress.steps import Vocabulary
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
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

"""Factorised embeddings as a step."""

from __future__ import annotations

import pytest
from tests.helpers.checkpoints import check_loads

from lighten.compress.steps import Factorise, Frozen, Student, Vocabulary
from lighten.errors import InputError
from lighten.models.checkpoint import read_config


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert"])
def test_factorise(checkpoints, target, make_context, kind):
    metrics = Factorise(width=20).apply(checkpoints[kind], target, make_context())
    check_loads(target)
    config, before = read_config(target), read_config(checkpoints[kind])
    assert (config["model_type"], config["embedding_size"], config["vocab_size"]) == (
        "electra",
        20,
        before["vocab_size"],
    )
    assert 0 < metrics["missed"] <= metrics["missed_vocabulary"] < 1 and metrics["of"] == 32
    assert metrics["parameters_saved"] == 12 * before["vocab_size"] - 20 * 32
    assert metrics["head"].startswith("must be trained again: ")


def test_composition(bert, tmp_path, make_context):
    """Before or after the vocabulary, before or after the student."""
    context = make_context()
    for order in (
        (Vocabulary(), Factorise(width=16), Student(hidden=24)),
        (Student(hidden=24), Factorise(width=16), Vocabulary()),
    ):
        folder = bert
        for index, step in enumerate(order):
            after = tmp_path / f"{order[0].name}{index}"
            after.mkdir()
            step.apply(folder, after, context)
            folder = after
        check_loads(folder)
        config = read_config(folder)
        assert (config["embedding_size"], config["hidden_size"]) == (16, 24)


def test_a_frozen_head_stays(bert, tmp_path, target, make_context):
    (tmp_path / "frozen").mkdir()
    Frozen().apply(bert, tmp_path / "frozen", make_context())
    Factorise(width=16).apply(tmp_path / "frozen", target, make_context())
    assert (target / "frozen.safetensors").read_bytes() == (tmp_path / "frozen/frozen.safetensors").read_bytes()


def test_what_cannot_be_factorised(checkpoints, target, make_context):
    with pytest.raises(InputError, match=r"step 'factorise': width must be below the hidden width 32 but got 32"):
        Factorise(width=32).apply(checkpoints["bert"], target, make_context())
    with pytest.raises(
        InputError, match=r"step 'factorise': the embeddings are factorised already: their width is 16"
    ):
        Factorise(width=8).apply(checkpoints["electra"], target, make_context())
    assert not list(target.iterdir())

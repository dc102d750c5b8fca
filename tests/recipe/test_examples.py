"""The shipped recipes read as recipes; the language model's folder is one that transformers can start from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lighten.recipe import check_buildable, read_recipe

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "task", "seconds"),
    [("train-reviews", "text-classification", 300.0), ("language-model", "language-modeling", 300.0)],
)
def test_a_training_has_its_clock(name, task, seconds):
    recipe = read_recipe(EXAMPLES / f"{name}.yaml")
    assert (recipe.name, recipe.task, recipe.clock_seconds) == (name, task, seconds)


def test_the_summaries_start_from_an_encoder():
    recipe = read_recipe(EXAMPLES / "summaries.yaml")
    assert (recipe.task, recipe.clock_seconds, recipe.data.summary) == ("summarization", 480.0, "title")
    assert recipe.train.from_encoder and recipe.train.learning_rate == 5e-4 and recipe.generate.max_tokens == 32


def test_the_reviews_can_also_be_built():
    for name in ("reviews", "train-reviews"):
        check_buildable(read_recipe(EXAMPLES / f"{name}.yaml"))


def test_long_documents_have_the_time_that_512_tokens_take():
    recipe = read_recipe(EXAMPLES / "long-documents.yaml")
    check_buildable(recipe)
    assert recipe.target.tokens == 512 and recipe.search.long == ["truncate", "head-tail", "sentences", "textrank"]
    # An epoch takes about eight minutes on two cores; the reference wants several, and its students some.
    assert recipe.clock_seconds >= 45 * 60
    assert recipe.budget.quality == -5.0


def test_every_recipe_reads():
    for file in sorted(EXAMPLES.glob("*.yaml")):
        assert read_recipe(file).name == file.stem


def test_the_folder_of_the_language_model_holds_configuration_and_tokenizer_that_agree():
    from tokenizers import Tokenizer

    recipe = read_recipe(EXAMPLES / "language-model.yaml")
    folder = EXAMPLES / recipe.model
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "tokenizer.json", "tokenizer_config.json"]
    config = json.loads((folder / "config.json").read_text())
    names = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == config["vocab_size"]
    for key in ("pad", "bos", "eos"):
        assert tokenizer.token_to_id(names[f"{key}_token"]) == config[f"{key}_token_id"]
    text = "Space shuttles, 1993: caf\u00e9 \u4e2d\u6587 \U0001f680"
    assert tokenizer.decode(tokenizer.encode(text).ids).strip() == text  # bytes: nothing is unknown
    assert recipe.train.segment <= config["max_position_embeddings"]

from __future__ import annotations

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recipe.test_schema import LEAST

from lighten.errors import InputError
from lighten.recipe import Train, check_buildable, parse_recipe, recipe_json_schema

LANGUAGE = {"task": "language-modeling", "data": {"train": "a.txt", "text": "t"}, "model": "m"}
SUMMARY = {"task": "summarization", "data": {"train": "a.csv", "text": "t", "summary": "s"}, "model": "m"}
SEVERAL = {
    "task": "text-classification",
    "data": {"train": "a.csv", "text": "t", "label": "l", "multi_label": True},
    "model": "m",
}
SCHEMA = jsonschema.Draft202012Validator(recipe_json_schema())


def _train(base, **train):
    return parse_recipe({**base, "train": train}).train


def _data(base, **data):
    return {**base, "data": {**base["data"], **data}}


@pytest.mark.parametrize("base", [LEAST, LANGUAGE, SUMMARY])
def test_every_task_has_good_defaults(base):
    recipe = parse_recipe(base)
    assert recipe.train == Train()
    assert recipe.train.learning_rate == recipe.train.precision == recipe.train.parallel.kind == "auto"
    assert recipe.train.patience is None
    assert recipe.train.track == []


def test_two_recipes_do_not_share_a_list():
    assert Train().track is not Train().track


def test_three_epochs_unless_there_is_a_clock():
    assert (parse_recipe(LEAST).clock_seconds, parse_recipe(LEAST).train_epochs) == (None, 3.0)
    timed = parse_recipe({**LEAST, "budget": {"build_minutes": 5}})
    assert (timed.clock_seconds, timed.train_epochs) == (300.0, None)
    both = parse_recipe({**LEAST, "budget": {"build_minutes": 5}, "train": {"epochs": 2}})
    assert (both.clock_seconds, both.train_epochs) == (300.0, 2.0)
    other = parse_recipe({**LEAST, "budget": {"size_mb": 5}})  # another limit is no clock
    assert (other.clock_seconds, other.train_epochs) == (None, 3.0)


@given(
    st.sampled_from([LEAST, LANGUAGE, SUMMARY]),
    st.fixed_dictionaries(
        {},
        optional={
            "epochs": st.floats(0.01, 100),
            "learning_rate": st.floats(1e-8, 0.5) | st.sampled_from(["auto", "probe"]),
            "schedule": st.sampled_from(["linear", "cosine", "one-minus-sqrt", "constant"]),
            "tokens_per_batch": st.integers(10_000, 10**6) | st.just("auto"),
            "micro_tokens": st.integers(1, 9999) | st.sampled_from(["auto", None]),
            "cache": st.sampled_from([False, "auto"]),
            "lora": st.none() | st.fixed_dictionaries({"rank": st.integers(1, 64)}),
            "track": st.lists(st.sampled_from(["tensorboard", "mlflow"]), unique=True),
            "parallel": st.fixed_dictionaries({"processes": st.integers(1, 8)}),
        },
    ),
    st.none() | st.floats(0.01, 1e4),
)
def test_a_resolved_recipe_reads_as_itself_with_its_clock(base, train, minutes):
    budget = {} if minutes is None else {"budget": {"build_minutes": minutes}}
    recipe = parse_recipe({**base, **budget, "train": train})
    again = parse_recipe(recipe.resolved())
    assert again == recipe
    assert (again.clock_seconds, again.train_epochs) == (recipe.clock_seconds, recipe.train_epochs)
    assert SCHEMA.is_valid(recipe.resolved())


def test_the_schedule_of_the_schedule_free_optimizer_is_filled_in():
    recipe = parse_recipe({**LEAST, "train": {"optimizer": "schedule-free"}})
    assert recipe.train.schedule == "constant"
    assert parse_recipe(recipe.resolved()) == recipe


@pytest.mark.parametrize(
    ("base", "train", "words"),
    [
        (LEAST, {"epoch": 3}, ["unknown key 'train.epoch'", "did you mean 'epochs'?"]),
        (LEAST, {"lora": {"rnk": 3}}, ["unknown key 'train.lora.rnk'", "did you mean 'rank'?"]),
        (LEAST, {"parallel": {"process": 2}}, ["unknown key 'train.parallel.process'", "'processes'?"]),
        (LEAST, {"learning_rate": 2}, ["train.learning_rate", "less than 1", "'auto' or 'probe'", "got 2"]),
        (LEAST, {"learning_rate": 0}, ["train.learning_rate", "greater than 0"]),
        (LEAST, {"learning_rate": "fast"}, ["train.learning_rate:", "'probe'", "got 'fast'"]),
        (LEAST, {"learning_rate": float("nan")}, ["train.learning_rate", "finite"]),
        (LEAST, {"epochs": 0}, ["train.epochs", "greater than 0"]),
        (LEAST, {"warmup": 0.9}, ["train.warmup", "0.5"]),
        (LEAST, {"schedule": "wsd", "warmup": 0.3, "decay": 0.8}, ["warmup and decay", "0.3 and 0.8"]),
        (LEAST, {"schedule": "step"}, ["train.schedule", "'cosine'", "got 'step'"]),
        (LEAST, {"optimizer": "schedule-free", "schedule": "cosine"}, ["schedule-free", "got 'cosine'"]),
        (LEAST, {"optimizer": "schedule-free", "learning_rate": "probe"}, ["probe", "schedule-free"]),
        (LEAST, {"tokens_per_batch": 0}, ["train.tokens_per_batch", "got 0"]),
        (LEAST, {"tokens_per_batch": 64, "micro_tokens": 65}, ["micro_tokens", "at most tokens_per_batch (64)"]),
        (LEAST, {"max_tokens": 2}, ["train.max_tokens", "got 2"]),
        (LEAST, {"long": "cut"}, ["train.long", "'head-tail'"]),
        (LEAST, {"class_weights": {"a": -1}}, ["train.class_weights", "greater than or equal to 0"]),
        (LEAST, {"class_weights": {"a": 0}}, ["at least one weight"]),
        (LEAST, {"label_smoothing": 1}, ["train.label_smoothing"]),
        (LEAST, {"precision": "fp8"}, ["train.precision", "'bf16'"]),
        (LEAST, {"patience": 0}, ["train.patience"]),
        (LEAST, {"freeze": 2, "lora": {}}, ["lora and freeze exclude"]),
        (LEAST, {"cache": True}, ["train.cache", "train.freeze"]),
        (LEAST, {"lora": {"targets": []}}, ["train.lora.targets"]),
        (LEAST, {"lora": {"rank": 0}}, ["train.lora.rank"]),
        (LEAST, {"from_scratch": True, "freeze": 1}, ["from_scratch"]),
        (LEAST, {"from_scratch": True, "lora": {}}, ["from_scratch"]),
        (LEAST, {"order": "importance"}, ["train.order_column"]),
        (LEAST, {"order_column": "w"}, ["train.order_column", "got 'w'"]),
        (LEAST, {"track": ["wandb"]}, ["train.track", "'mlflow'"]),
        (LEAST, {"track": ["mlflow", "mlflow"]}, ["each tracker once"]),
        (LEAST, {"parallel": {"kind": "none", "processes": 2}}, ["kind none", "processes: 2"]),
        (LEAST, {"parallel": {"kind": "pipeline", "processes": 1}}, ["pipeline needs at least 2"]),
        (LEAST, {"parallel": {"kind": "ddp", "cpu_offload": True}}, ["cpu_offload", "fsdp"]),
        (LEAST, {"parallel": {"processes": 0}}, ["train.parallel.processes"]),
        (LEAST, {"objective": "causal"}, ["train.objective", "language-modeling", "text-classification"]),
        (LEAST, {"segment": 64}, ["train.segment", "language-modeling"]),
        (LEAST, {"block": 64}, ["train.block", "language-modeling"]),
        (LANGUAGE, {"segment": 64, "objective": "masked"}, ["train.segment", "causal"]),
        (LANGUAGE, {"memory": 64}, ["train.memory", "train.segment"]),
        (LANGUAGE, {"segment": 64, "block": 64}, ["exclude each other"]),
        (LANGUAGE, {"block": 64, "order": "curriculum"}, ["train.order", "got 'curriculum'"]),
        (LANGUAGE, {"segment": 64, "length_warmup": 0.3}, ["segment and length_warmup exclude"]),
        (LANGUAGE, {"norm": "none"}, ["train.norm", "text-classification"]),
        (SUMMARY, {"freeze": 2, "cache": True}, ["train.cache", "text-classification"]),
        (LANGUAGE, {"class_weights": "balanced"}, ["train.class_weights", "text-classification"]),
        (SUMMARY, {"long": "chunk"}, ["train.long", "summarization"]),
        (SUMMARY, {"long": "hierarchical"}, ["train.long", "summarization"]),
        (SEVERAL, {"long": "hierarchical"}, ["train.long", "data.multi_label", "chunk-max"]),
    ],
)
def test_faults_are_named(base, train, words):
    with pytest.raises(InputError) as caught:
        parse_recipe({**base, "train": train}, where="reviews.yaml")
    for word in ["reviews.yaml", *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("base", "train"),
    [
        (LANGUAGE, {"segment": 64, "memory": 128, "objective": "causal", "from_scratch": True}),
        (LANGUAGE, {"block": 128, "objective": "masked", "mask_probability": 0.3, "length_warmup": 0.3}),
        (LEAST, {"freeze": 3, "cache": True}),
        (LEAST, {"order": "curriculum"}),
        (LEAST, {"label_smoothing": 0.1}),
        (SUMMARY, {"label_smoothing": 0.1}),
        (LEAST, {"order": "importance", "order_column": "w"}),
        (LEAST, {"class_weights": {"fresh": 2, "rotten": 0.5}}),
        (LEAST, {"learning_rate": "1e-4"}),  # what YAML makes of 1e-4
        (LEAST, {"parallel": {"kind": "fsdp", "processes": 2, "cpu_offload": True}}),
    ],
)
def test_what_goes_together(base, train):
    made = _train(base, **train)
    assert made.model_dump(exclude_unset=True).keys() == train.keys()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({**_data(LEAST, multi_label=True), "train": {"label_smoothing": 0.1}}, ["label_smoothing", "multi_label"]),
        ({**LANGUAGE, "train": {"label_smoothing": 0.1}}, ["train.label_smoothing", "language-modeling"]),
        (_data(LANGUAGE, label="l"), ["data.label", "has no labels"]),
        (_data(LANGUAGE, labels=["a", "b"]), ["data.labels", "has no labels"]),
        (_data(SUMMARY, multi_label=True), ["data.multi_label", "has no labels"]),
        (_data(SUMMARY, summary=None), ["data.summary", "needs the name"]),
        (_data(LEAST, summary="s"), ["data.summary", "has no summaries"]),
        (_data(LANGUAGE, unlabelled="b.txt"), ["data.unlabelled", "data.train"]),
        (_data(LEAST, multi_label=True, label_separator=""), ["data.label_separator"]),
        ({**LEAST, "task": "translation"}, ["task", "'summarization'", "'translation'"]),
    ],
)
def test_columns_that_do_not_go_with_the_task(content, words):
    with pytest.raises(InputError) as caught:
        parse_recipe(content)
    for word in words:
        assert word in str(caught.value)


def test_build_refuses_what_it_cannot_make_smaller():
    check_buildable(parse_recipe(LEAST))
    for content, word in ((LANGUAGE, "language-modeling"), (_data(LEAST, multi_label=True), "data.multi_label")):
        with pytest.raises(InputError, match=word) as caught:
            check_buildable(parse_recipe(content), "a.yaml")
        assert "lighten train" in str(caught.value)
        assert str(caught.value).startswith("a.yaml: ")

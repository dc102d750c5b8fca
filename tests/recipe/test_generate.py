from __future__ import annotations

import pytest
from tests.recipe.test_schema import LEAST
from tests.recipe.test_train import SUMMARY

from lighten.errors import InputError
from lighten.recipe import Generate, parse_recipe

EXTRACTIVE = {**SUMMARY, "train": {"objective": "extractive"}}
LANGUAGE = {"task": "language-modeling", "data": {"train": "a.csv", "text": "t"}, "model": "m"}


def test_summaries_have_good_defaults():
    assert parse_recipe(SUMMARY).generate == Generate()
    assert parse_recipe({**SUMMARY, "generate": {"beams": 2}}).generate.beams == 2


def test_a_resolved_recipe_of_any_task_reads_as_itself():
    for base in (
        LEAST,
        {**SUMMARY, "generate": {"chunk": 512, "documents": None}},
        {**EXTRACTIVE, "generate": {"words": 40}},
    ):
        recipe = parse_recipe(base)
        assert parse_recipe(recipe.resolved()) == recipe


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({**SUMMARY, "generate": {"beams": 0}}, "generate.beams"),
        ({**SUMMARY, "generate": {"chunk": 100, "max_tokens": 128}}, "a piece must be longer than its summary"),
        ({**SUMMARY, "generate": {"beam": 2}}, "beams"),
        ({**LEAST, "generate": {"beams": 2}}, "generate: only for the task summarization"),
        ({**LEAST, "train": {"from_encoder": True}}, "train.from_encoder"),
        ({**SUMMARY, "train": {"from_encoder": True, "from_scratch": True}}, "not together with train.from_scratch"),
        ({**SUMMARY, "train": {"long": "chunk-max"}}, "chunk-max"),
        ({**SUMMARY, "train": {"objective": "masked"}}, "summarization knows auto and extractive; got 'masked'"),
        ({**LEAST, "train": {"objective": "extractive"}}, "train.objective"),
        ({**LANGUAGE, "train": {"objective": "extractive"}}, "extractive is for the task summarization"),
        ({**EXTRACTIVE, "generate": {"words": 0}}, "generate.words"),
        ({**EXTRACTIVE, "generate": {"documents": 0}}, "ROUGE is all there is to measure"),
        ({**EXTRACTIVE, "generate": {"beams": 2}}, "generate.beams: extractive summaries are chosen"),
        ({**SUMMARY, "generate": {"words": 20}}, "generate.words: only with train.objective: extractive"),
        ({**SUMMARY, "train": {"objective": "extractive", "from_encoder": True}}, "train.from_encoder"),
        ({**SUMMARY, "train": {"objective": "extractive", "long": "head-tail"}}, "in pieces of max_tokens"),
        ({**SUMMARY, "train": {"objective": "extractive", "label_smoothing": 0.1}}, "label_smoothing"),
        ({**SUMMARY, "train": {"objective": "extractive", "parallel": {"kind": "pipeline"}}}, "use ddp or fsdp"),
    ],
)
def test_what_makes_no_sense_is_refused(content, said):
    with pytest.raises(InputError, match=said):
        parse_recipe(content)

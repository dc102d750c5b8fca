"""Which ids the files beside tokenizer.json name, and how they move."""

from __future__ import annotations

import copy

import pytest

from lighten.models.special_pieces import processor_ids, renumber_processor, special_ids, token_ids, write_settings
from lighten.pipeline.files import read_json, write_json

PROCESSORS = [
    {"type": "RobertaProcessing", "sep": ["</s>", 4], "cls": ["<s>", 3]},
    {"type": "BertProcessing", "sep": ["[SEP]", 4], "cls": ["[CLS]", 3]},
    {"type": "TemplateProcessing", "special_tokens": {"<s>": {"ids": [3]}, "x": {"ids": [4]}}},
    {
        "type": "Sequence",
        "processors": [
            {"type": "ByteLevel"},
            {"type": "TemplateProcessing", "special_tokens": {"<s>": {"ids": [3, 4]}}},
        ],
    },
]


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda processor: processor["type"])
def test_ids_of_the_post_processor(processor):
    moved = copy.deepcopy(processor)
    renumber_processor(moved, {3: 0, 4: 1})
    assert processor_ids(processor) == {3, 4} and processor_ids(moved) == {0, 1}
    renumber_processor(moved, {0: 3, 1: 4})
    assert moved == processor


def test_there_may_be_no_post_processor():
    assert processor_ids(None) == set()
    renumber_processor(None, {})


def test_ids_that_files_name_stay_where_they_are_pieces(tmp_path):
    vocabulary = {piece: i for i, piece in enumerate("abcdefgh")}
    write_json(tmp_path / "config.json", {"pad_token_id": 2, "eos_token_id": [3, 900], "bos_token_id": None, "x": 7})
    write_json(tmp_path / "generation_config.json", {"eos_token_id": 4})
    write_json(tmp_path / "tokenizer_config.json", {"pad_token": "a", "sep_token": {"content": "b"}, "unk_token": "?"})
    content = {"added_tokens": [{"content": "<new>", "id": 8}], "post_processor": None}
    assert special_ids(tmp_path, content, vocabulary) == {0, 1, 2, 3, 4, 8}


def test_no_number_is_made_of_truth():
    assert token_ids({"pad_token_id": True, "eos_token_id": [1, 2], "other": 3}) == {1, 2}


def test_the_files_move_along(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    source.mkdir()
    target.mkdir()
    write_json(source / "tokenizer_config.json", {"added_tokens_decoder": {"5": {"content": "<s>"}, "6": {}}, "k": 1})
    write_json(source / "generation_config.json", {"eos_token_id": [5, 6], "pad_token_id": 6, "bos_token_id": 5})
    write_settings(source, target, {5: 0})
    assert read_json(target / "tokenizer_config.json") == {"added_tokens_decoder": {"0": {"content": "<s>"}}, "k": 1}
    assert read_json(target / "generation_config.json") == {
        "eos_token_id": [0],
        "pad_token_id": None,
        "bos_token_id": 0,
    }
    assert not (target / "special_tokens_map.json").exists()

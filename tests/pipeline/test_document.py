from __future__ import annotations

import json

import pytest

from lighten.errors import InputError
from lighten.pipeline.document import read_document, read_schema, result_file


def fault(content):
    return None if isinstance(content, dict) and content.get("mine") else "not mine"


def test_a_path_means_a_file_or_the_one_in_a_folder(tmp_path):
    assert result_file(tmp_path) == tmp_path / "result.json" == result_file(str(tmp_path / "result.json"))


def test_what_is_wanted_is_returned_whole(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps({"mine": 1, "schema": 1, "more": [2]}))
    assert read_document(tmp_path, "build", fault) == {"mine": 1, "schema": 1, "more": [2]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no result here; a run folder has one when its training is finished"),
        ("{", "not a JSON document"),
        ("[1]", "not mine"),
        ('{"schema": 9}', "not mine"),
        ('{"mine": 1, "schema": 9}', "written in format 9; this version reads 1"),
        ('{"mine": 1}', "written in format None; this version reads 1"),
    ],
)
def test_each_fault_has_its_message_and_names_the_file(tmp_path, content, message):
    file = tmp_path / "result.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError) as caught:
        read_document(tmp_path, "training", fault)
    assert str(caught.value) == f"{file}: {message}"


@pytest.mark.parametrize("name", ["result.schema.json", "training.schema.json"])
def test_the_schemas_ship(name):
    assert read_schema(name)["properties"]["schema"]["const"] == 1

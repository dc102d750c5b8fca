from __future__ import annotations

import copy
import json

import jsonschema
import pytest
from tests.report.sample import sample_result
from tests.report.training_sample import bare_training, hostile_training, language_result, training_result

from lighten.errors import InputError
from lighten.pipeline import result as builds
from lighten.pipeline import training_result as module

SCHEMA = module.training_json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_schema_is_a_valid_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("make", [training_result, language_result, bare_training, hostile_training])
def test_results_validate(make):
    assert [error.message for error in VALIDATOR.iter_errors(make())] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), 2),
        (("kind",), "build"),
        (("task",), "translation"),
        (("quality", "validation"), None),
        (("quality", "validation", "ci95"), [1.0]),
        (("quality", "test", "n"), -1),
        (("training", "padded_share"), 1.5),
        (("training", "stopped"), "crash"),
        (("training", "history", 0, "step"), None),
        (("training", "notes"), None),
        (("predicted", "peak_memory_mb"), "much"),
        (("seen", "seconds"), None),
        (("clock", "limit_seconds"), 0),
        (("model",), None),
    ],
)
def test_faults_are_found(path, value):
    broken = copy.deepcopy(training_result())
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert list(VALIDATOR.iter_errors(broken))


@pytest.mark.parametrize("key", SCHEMA["required"])
def test_required_keys_are_required(key):
    broken = training_result()
    del broken[key]
    assert list(VALIDATOR.iter_errors(broken))


def test_the_types_name_the_keys_of_the_schema():
    assert set(module.TrainingResult.__annotations__) == set(SCHEMA["properties"])
    parts = {"quality": module.TrainingQuality, "predicted": module.Predicted, "seen": module.Seen}
    for name, kind in {**parts, "clock": module.Limit}.items():
        assert set(kind.__annotations__) == set(SCHEMA["$defs"][name]["properties"])


def test_the_schema_knows_the_report_of_the_loop():
    from dataclasses import fields

    from lighten.train.settings import Report

    assert {field.name for field in fields(Report)} <= set(SCHEMA["$defs"]["training"]["properties"])


def test_read_takes_a_folder_or_a_file(tmp_path):
    assert not module.is_training(tmp_path)
    (tmp_path / "result.json").write_text(json.dumps(training_result()))
    assert module.is_training(tmp_path)
    assert module.read_training(tmp_path) == module.read_training(tmp_path / "result.json") == training_result()
    with pytest.raises(InputError, match="of a training, not of a build"):
        builds.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "no result"),
        ("{", "not a JSON"),
        ("[]", "not of lighten"),
        (json.dumps(sample_result()), "of a build"),
        ('{"kind": "training", "schema": 9}', "9"),
        (b"\xff", "JSON"),
    ],
)
def test_read_explains_what_is_wrong(tmp_path, content, word):
    if content is not None:
        (tmp_path / "result.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=word) as caught:
        module.read_training(tmp_path)
    assert "result.json" in str(caught.value)

from __future__ import annotations

import copy
import json

import jsonschema
import pytest
from tests.report.sample import bare_result, infeasible_result, sample_result

from lighten.errors import InputError
from lighten.pipeline import result as module

SCHEMA = module.result_json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_schema_is_a_valid_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("make", [sample_result, infeasible_result, bare_result])
def test_results_validate(make):
    assert [error.message for error in VALIDATOR.iter_errors(make())] == []


def _break(path, value):
    broken = copy.deepcopy(sample_result())
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return broken


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), 2),
        (("verdict",), "maybe"),
        (("binding_limit",), "latency_ms"),
        (("limits", 0, "met"), False),
        (("limits", 0, "name"), "speed"),
        (("chosen",), None),
        (("chosen", "status"), "trained"),
        (("chosen", "metrics", "quality", "value"), 101),
        (("chosen", "metrics", "quality", "split"), "train"),
        (("chosen", "metrics", "latency_ms", "ci95"), [1.0]),
        (("candidates", 0, "metrics", "size_mb"), "small"),
        (("seconds", "total"), None),
        (("budget", "latency"), 4),
    ],
)
def test_faults_are_found(path, value):
    assert list(VALIDATOR.iter_errors(_break(path, value)))


@pytest.mark.parametrize("key", SCHEMA["required"])
def test_required_keys_are_required(key):
    broken = sample_result()
    del broken[key]
    assert list(VALIDATOR.iter_errors(broken))


def test_an_infeasible_result_names_its_limit():
    broken = infeasible_result()
    broken["binding_limit"] = None
    assert list(VALIDATOR.iter_errors(broken))


def test_a_candidate_has_every_metric():
    made = module.candidate("a", "student", [], "cost_only", size_mb=2.0)
    assert made["metrics"]["size_mb"] == 2.0
    assert set(made["metrics"]) == set(module.Metrics.__annotations__) == set(SCHEMA["$defs"]["metrics"]["properties"])
    assert all(value is None for key, value in made["metrics"].items() if key != "size_mb")
    with pytest.raises(TypeError, match="latency"):
        module.candidate("a", "student", [], "cost_only", latency=2.0)


def test_read_takes_a_folder_or_a_file(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(sample_result()))
    assert module.read(tmp_path) == module.read(tmp_path / "result.json") == sample_result()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "no result"),
        ("{", "not a JSON"),
        ("[]", "no verdict"),
        ("{}", "no verdict"),
        ('{"verdict": "fits", "schema": 9}', "9"),
        (b"\xff", "JSON"),
    ],
)
def test_read_explains_what_is_wrong(tmp_path, content, word):
    if content is not None:
        (tmp_path / "result.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=word) as caught:
        module.read(tmp_path)
    assert "result.json" in str(caught.value)

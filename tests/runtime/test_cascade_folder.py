"""What the description of a cascade may say, and what is refused."""

from __future__ import annotations

import json
import shutil

import pytest
from tests.helpers.cascades import make_cascade

from lighten.errors import InputError
from lighten.runtime import read_folder


@pytest.fixture
def folder(tmp_path, make_model_folder):
    return make_cascade(tmp_path / "both", make_model_folder)


def change(folder, **keys):
    content = json.loads((folder / "lighten.json").read_text())
    for key, value in keys.items():
        place = content["cascade"] if key in ("threshold", "passed_on", "examples", "confidence", "first") else content
        place[key] = value
    (folder / "lighten.json").write_text(json.dumps(content))


def test_it_says_what_it_holds(folder):
    found = read_folder(folder)
    assert found.cascade is not None and found.labels == ("fresh", "rotten") and found.task == "text-classification"
    assert found.cascade.first.path == folder / "first" and found.cascade.second.path == folder / "second"
    assert (found.cascade.threshold, found.cascade.passed_on, found.cascade.examples) == (1.0, 0.5, 200)
    assert read_folder(folder / "first").cascade is None
    serving = {file.relative_to(folder).as_posix() for file in found.serving_files()}
    assert {"lighten.json", "first/lighten.json", "second/onnx/model.onnx", "first/tokenizer.json"} <= serving
    assert "first/model.safetensors" not in serving


@pytest.mark.parametrize("part", ["first", "second"])
def test_a_missing_part_is_named(folder, part):
    shutil.rmtree(folder / part)
    with pytest.raises(InputError, match=f"both/{part}: there is no such model folder"):
        read_folder(folder)


def test_a_missing_or_cut_file_of_a_part_is_named(folder):
    graph = folder / "second" / "onnx" / "model.onnx"
    content = graph.read_bytes()
    graph.unlink()
    with pytest.raises(InputError, match=r"second/onnx/model\.onnx: this file of the model is missing"):
        read_folder(folder)
    graph.write_bytes(content[:-1])
    with pytest.raises(InputError, match="bytes expected"):
        read_folder(folder)


@pytest.mark.parametrize("labels", [["good", "bad"], ["rotten", "fresh"]])
def test_other_labels_in_a_part_are_refused(folder, labels):
    file = folder / "first" / "lighten.json"
    content = json.loads(file.read_text())
    content.update(labels=labels, self_test=[])
    file.unlink()
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"in its order: fresh, rotten expected, {', '.join(labels)} found"):
        read_folder(folder)


def test_a_cascade_of_cascades_is_refused(folder):
    shutil.rmtree(folder / "first")
    shutil.copytree(folder.with_name("both-first"), folder / "first" / "first")
    shutil.copytree(folder.with_name("both-second"), folder / "first" / "second")
    content = json.loads((folder / "lighten.json").read_text())
    content["files"] = {}
    (folder / "first" / "lighten.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="is a cascade itself"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"threshold": -1}, r"cascade\.threshold must be a finite number from 0, not -1"),
        ({"threshold": float("nan")}, r"cascade\.threshold must be a finite number"),
        ({"threshold": float("inf")}, r"cascade\.threshold must be a finite number"),
        ({"threshold": "1"}, r"cascade\.threshold must be a finite number from 0, not '1'"),
        ({"threshold": True}, r"cascade\.threshold must be"),
        ({"passed_on": 1.5}, r"cascade\.passed_on must be a finite number from 0 to 1, not 1\.5"),
        ({"examples": 0}, r"cascade\.examples must be a whole number of at least 1"),
        ({"confidence": "entropy"}, r"cascade\.confidence must be logit-margin, not 'entropy'"),
        ({"first": "../elsewhere"}, "leaves the folder"),
        ({"labels": ["fresh"]}, "two or more different names"),
        ({"cascade": {}}, "the key 'threshold' is missing"),
        ({"task": "summarization"}, "a cascade is for text-classification"),
        ({"format": 1}, "written in format 1; this version reads 2"),
    ],
)
def test_a_damaged_description_is_refused(folder, keys, said):
    change(folder, **keys)
    with pytest.raises(InputError, match=said):
        read_folder(folder)


def test_one_model_does_not_call_itself_two(folder):
    file = folder / "first" / "lighten.json"
    content = json.loads(file.read_text())
    content["format"] = 2
    file.unlink()
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="written in format 2; this version reads 1"):
        read_folder(folder / "first")

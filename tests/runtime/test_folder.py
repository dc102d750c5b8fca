import json

import pytest

from lighten.errors import InputError
from lighten.runtime import read_folder


def change(folder, **values):
    file = folder / "lighten.json"
    content = json.loads(file.read_text())
    for key, value in values.items():
        target = content
        *path, last = key.split("__")
        for part in path:
            target = target[part]
        target[last] = value
    file.write_text(json.dumps(content))


def test_reads_what_the_description_says(shared_model_folder):
    folder = read_folder(str(shared_model_folder))
    assert folder.labels == ("fresh", "rotten")
    assert folder.graph == shared_model_folder / "onnx/model.onnx"
    assert (folder.max_tokens, folder.pad_token_id, folder.lowercase) == (16, 0, False)
    assert (folder.threads, folder.spinning) == (1, False)
    assert [case["text"] for case in folder.self_test] == ["a triumph", "a dull mess", ""]
    names = {file.name for file in folder.serving_files()}
    assert names == {"config.json", "tokenizer.json", "model.onnx", "lighten.json"}


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: there is no such model folder"):
        read_folder(tmp_path / "nowhere")


def test_a_file_is_no_folder(model_folder):
    with pytest.raises(InputError, match="a model is a folder, not a file"):
        read_folder(model_folder / "config.json")


def test_without_a_description_it_lists_what_is_there(model_folder):
    (model_folder / "lighten.json").unlink()
    with pytest.raises(
        InputError, match=r"no lighten.json here.*config.json, model.safetensors, onnx/, tokenizer.json"
    ):
        read_folder(model_folder)


def test_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match="holds nothing"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": 2}, "written in format 2; this version reads 1"),
        ({"task": "text-clasification"}, "unknown task 'text-clasification'.*did you mean 'text-classification'"),
        ({"labels": ["one"]}, "two or more"),
        ({"labels": ["same", "same"]}, "two or more different"),
        ({"preprocessing": {}}, "'max_tokens' is missing"),
        ({"preprocessing__max_tokens": "many"}, "preprocessing.max_tokens must be a whole number"),
        ({"runtime__threads": 0}, "runtime.threads must be a whole number of at least 1, not 0"),
        ({"files": []}, "damaged"),
        ({"graph": "../model.onnx"}, "leaves the folder"),
        ({"graph": "onnx/other.onnx"}, "other.onnx: this file of the model is missing"),
        ({"files__../../etc/passwd": {"bytes": 1, "sha256": "0" * 64, "role": "serving"}}, "leaves the folder"),
        (
            {"files__model.bin": {"bytes": "123", "sha256": "0" * 64, "role": "serving"}},
            "files.model.bin.bytes must be a whole number",
        ),
        ({"self_test": [{"text": "x", "logits": [0.0], "label": "fresh"}]}, "self-test case"),
    ],
)
def test_a_bad_description_is_refused(model_folder, values, message):
    change(model_folder, **values)
    with pytest.raises(InputError, match=message):
        read_folder(model_folder)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe"])
def test_a_torn_description_is_refused(model_folder, content):
    (model_folder / "lighten.json").write_bytes(content)
    with pytest.raises(InputError, match=r"lighten\.json"):
        read_folder(model_folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "onnx/model.onnx", "config.json"])
def test_a_missing_file_is_named(model_folder, name):
    (model_folder / name).unlink()
    with pytest.raises(InputError, match=f"{name}: this file of the model is missing"):
        read_folder(model_folder)


def test_a_cut_file_is_noticed_without_verify(model_folder):
    graph = model_folder / "onnx/model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"bytes expected, .* found"):
        read_folder(model_folder)


def test_training_files_are_not_needed_to_serve(model_folder):
    (model_folder / "model.safetensors").unlink()
    folder = read_folder(model_folder)
    with pytest.raises(InputError, match=r"model\.safetensors"):
        folder.verify()


def test_verify_finds_a_changed_byte(model_folder):
    folder = read_folder(model_folder)
    folder.verify()
    graph = model_folder / "onnx/model.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.onnx: the checksum differs"):
        folder.verify()

from __future__ import annotations

import json
import os

import pytest

from lighten.errors import InputError
from lighten.pipeline.lock import locked


@pytest.mark.parametrize("what", ["build", "training"])
def test_one_at_a_time_and_then_the_next(tmp_path, what):
    with locked(tmp_path / "run", what):
        assert json.loads((tmp_path / "run/.lock").read_text()) == {"pid": os.getpid()}
        with (
            pytest.raises(InputError, match=f"another {what} is running in this folder") as caught,
            locked(tmp_path / "run", what),
        ):
            pass
        assert caught.value.where == str(tmp_path / "run")
        with locked(tmp_path / "other", what):
            pass
    with locked(tmp_path / "run", what):
        pass
    assert (tmp_path / "run").is_dir()


@pytest.mark.parametrize(("error", "there"), [(InputError("bad", "here"), False), (RuntimeError("bug"), True)])
def test_a_new_folder_vanishes_when_the_input_is_bad(tmp_path, error, there):
    with pytest.raises(type(error)), locked(tmp_path / "new", "build"):
        raise error
    assert (tmp_path / "new").exists() == there


def test_a_folder_that_was_there_stays(tmp_path):
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(InputError, match="bad"), locked(tmp_path, "build"):
        raise InputError("bad", "here")
    assert (tmp_path / "kept.txt").read_text() == "mine"


def test_no_folder_and_none_that_can_be_made(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="must be a folder"), locked(tmp_path / "file", "training"):
        pass
    with pytest.raises(InputError, match="cannot be made"), locked(tmp_path / "file/run", "training"):
        pass
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("file", "content", "there"),
    [
        ("work/artifacts/a1/manifest.json", '{"kind": "checkpoint"}', True),
        ("work/artifacts/a1/manifest.json", '{"kind": "table"}', False),
        ("work/artifacts/a1/manifest.json", "torn", False),
        ("work/checkpoints/a1/step-5/state.safetensors", "", True),
        ("work/checkpoints-1/step-5/state.safetensors", "", True),
        ("journal.jsonl", "{}", False),
    ],
)
def test_a_new_folder_with_something_trained_in_it_stays(tmp_path, file, content, there):
    with pytest.raises(InputError), locked(tmp_path / "new", "build"):
        (tmp_path / "new" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "new" / file).write_text(content)
        raise InputError("found late", "here")
    assert (tmp_path / "new" / file).exists() == there

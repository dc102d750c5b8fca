from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.pipeline import files

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_json_comes_back_as_it_was(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "deep" / "file.json"
    files.write_json(path, value)
    assert files.read_json(path) == value


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    files.write_text(path, "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write_text(path, "new")
    assert [item.name for item in tmp_path.iterdir()] == ["file.txt"]
    assert path.read_text() == "old"


def test_the_file_is_readable_by_others(tmp_path):
    files.write_bytes(tmp_path / "file", b"x")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_a_reader_never_sees_half_a_file_while_the_writer_is_killed(tmp_path):
    path = tmp_path / "file.json"
    script = (
        "import sys, itertools; from pathlib import Path; from lighten.pipeline.files import write_json\n"
        "for n in itertools.count(): write_json(Path(sys.argv[1]), {'n': n, 'rows': [n] * 20000})"
    )
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", script, str(path)])
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        for _ in range(30):
            seen = json.loads(path.read_text())
            assert set(seen["rows"]) == {seen["n"]}
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        seen = json.loads(path.read_text())
        assert len(seen["rows"]) == 20000


def test_a_new_folder_appears_only_when_the_block_succeeds(tmp_path):
    target = tmp_path / "out" / "folder"
    with pytest.raises(ValueError, match="stop"), files.new_folder(target) as folder:
        (folder / "half").write_text("x")
        raise ValueError("stop")
    assert list((tmp_path / "out").iterdir()) == []
    with files.new_folder(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("x")
        assert not target.exists()
    assert (target / "sub" / "file").read_text() == "x"
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["folder"]


def test_a_failed_block_keeps_the_older_folder_and_a_good_one_replaces_it(tmp_path):
    target = tmp_path / "folder"
    with files.new_folder(target) as folder:
        (folder / "old").write_text("x")
    with pytest.raises(KeyboardInterrupt), files.new_folder(target) as folder:
        raise KeyboardInterrupt
    assert (target / "old").exists()
    with files.new_folder(target) as folder:
        (folder / "new").write_text("x")
    assert [item.name for item in target.iterdir()] == ["new"]
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]


@given(st.binary(max_size=4096))
def test_checksum_is_sha256(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("sum") / "file"
    path.write_bytes(content)
    assert files.checksum(path) == hashlib.sha256(content).hexdigest()

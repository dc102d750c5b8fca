from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from lighten.pipeline import artifact as module
from lighten.pipeline.artifact import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "work")


def _work(calls, text="x"):
    def work(folder):
        calls.append(folder)
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text(text)
        return {"rows": 3}

    return work


def test_work_is_done_once(workspace):
    calls = []
    first = workspace.produce("table", {"a": 1}, ["source"], _work(calls))
    again = workspace.produce("table", {"a": 1}, ["source"], _work(calls))
    assert len(calls) == 1
    assert again.key == first.key
    assert again.metrics == {"rows": 3}
    assert again.manifest == first.manifest
    assert (again.path / "sub" / "file").read_text() == "x"
    assert again.check()


def test_the_key_is_made_of_everything_that_matters(workspace, monkeypatch):
    parent = workspace.produce("table", {}, [], _work([]))
    keys = {
        workspace.key("table", {"a": 1}, []),
        workspace.key("onnx", {"a": 1}, []),
        workspace.key("table", {"a": 2}, []),
        workspace.key("table", {"a": 1}, ["p"]),
        workspace.key("table", {"a": 1}, ["p", "q"]),
        workspace.key("table", {"a": 1}, ["q", "p"]),
        workspace.key("table", {"a": 1}, [parent]),
    }
    assert len(keys) == 7
    assert workspace.key("table", {"a": 1}, [parent]) == workspace.key("table", {"a": 1}, [parent.key])
    with monkeypatch.context() as patch:
        patch.setattr(module, "versions", lambda: {"torch": "0"})
        assert workspace.key("table", {"a": 1}, []) not in keys
    monkeypatch.setattr(module, "OUTCOMES", module.OUTCOMES + 1)  # other code makes something else of the same
    assert workspace.key("table", {"a": 1}, []) not in keys


def test_parents_may_be_a_generator(workspace):
    made = workspace.produce("table", {}, (name for name in ("a", "b")), _work([]))
    assert made.manifest["parents"] == ["a", "b"]


@pytest.mark.parametrize("damage", ["remove", "cut"])
def test_a_missing_or_shortened_file_means_the_work_again(workspace, damage):
    made = workspace.produce("table", {}, [], _work([]))
    file = made.path / "sub" / "file"
    file.unlink() if damage == "remove" else file.write_text("")
    assert workspace.find(made.key) is None
    assert not made.check()
    again = workspace.produce("table", {}, [], _work([]))
    assert again.check()


def test_a_changed_byte_is_found_by_check(workspace):
    made = workspace.produce("table", {}, [], _work([]))
    (made.path / "sub" / "file").write_text("y")
    assert not made.check()


def test_failed_work_leaves_nothing_but_its_checkpoints(workspace):
    key = workspace.key("table", {}, [])
    workspace.checkpoints(key).mkdir(parents=True)

    def fail(folder):
        (folder / "half").write_text("x")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        workspace.produce("table", {}, [], fail)
    assert workspace.find(key) is None
    assert list((workspace.root / "artifacts").iterdir()) == []
    assert workspace.checkpoints(key).exists()
    workspace.produce("table", {}, [], _work([]))
    assert not workspace.checkpoints(key).exists()


def test_killed_work_is_no_artifact(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from lighten.pipeline.artifact import Workspace\n"
        "def work(folder):\n"
        "    (folder / 'file').write_text('half'); print('in', flush=True); time.sleep(60)\n"
        "Workspace(Path(sys.argv[1])).produce('table', {}, [], work)"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline().strip() == "in"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    workspace = Workspace(tmp_path)
    assert workspace.find(workspace.key("table", {}, [])) is None
    assert workspace.produce("table", {}, [], _work([])).check()


def test_versions_name_what_is_installed():
    found = module.versions()
    assert "lighten" in found
    assert all(isinstance(text, str) for text in found.values())

"""What models say."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lighten.compress.step import Context
from lighten.pipeline import Workspace
from lighten.pipeline.examples import Examples
from lighten.workshop import answers

NONE = Examples([], [], [])


def test_a_teachers_pass_that_was_killed_finds_its_parts(tmp_path, monkeypatch):
    workspace = Workspace(tmp_path / "work")
    table = workspace.produce("table", {}, ["scope"], lambda target: {})
    work = SimpleNamespace(workspace=workspace, table=table, max_tokens=8)
    work.context = lambda name, checkpoints: Context([], NONE, NONE, 8, 0, checkpoints=checkpoints)
    seen = []

    def cache(folder, target, context):
        part = context.checkpoints / "part"
        seen.append(part.exists())
        if not part.exists():
            part.parent.mkdir(parents=True)
            part.write_text("half")
            raise KeyboardInterrupt
        (target / "teacher.safetensors").write_text("whole")
        return {}

    monkeypatch.setattr(answers, "cache_teacher", cache)
    with pytest.raises(KeyboardInterrupt):
        answers.teacher_answers(work, table)
    found = answers.teacher_answers(work, table)
    assert found.metrics["step_seconds"] >= 0
    assert seen == [False, True] and (found.path / "teacher.safetensors").is_file()
    assert not list((tmp_path / "work" / "checkpoints").glob("*"))

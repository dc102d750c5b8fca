"""Whose folder it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lighten.errors import InputError
from lighten.workshop.finished import KINDS, refuse_other


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_with_the_result_of_another_kind_of_work_is_refused(tmp_path: Path, kind: str) -> None:
    content = {"schema": 1} if kind == "build" else {"schema": 1, "kind": kind}
    (tmp_path / "result.json").write_text(json.dumps(content))
    for asked in KINDS:
        if asked == kind:
            refuse_other(tmp_path, asked)
        else:
            with pytest.raises(InputError, match=f"this folder holds {KINDS[kind]}; choose another with --out"):
                refuse_other(tmp_path, asked)


@pytest.mark.parametrize("content", [None, "torn{", "[]"])
def test_what_is_no_result_is_no_reason(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    refuse_other(tmp_path, "build")

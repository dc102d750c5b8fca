"""A compression that is killed goes on, and ends as if it had not been."""

from __future__ import annotations

import json
import sys

import pytest
from tests.search.test_resume import kill_when

import lighten


@pytest.mark.slow
def test_killed_twice_and_resumed_gives_the_same_answers(compress, fitted, reviews, tmp_path):
    undisturbed, out = tmp_path / "undisturbed", tmp_path / "run"
    compress("finetune:epochs=1,layers=1,vocabulary,distil=1,int8", undisturbed)
    words = ["compress", str(fitted), "--with", "finetune:epochs=1,layers=1,vocabulary,distil=1,int8"]
    words += ["--data", str(reviews), "--text", "review", "--label", "verdict", "--out", str(out)]
    command = [sys.executable, "-m", "lighten", *words, "--set", "target.tokens=16", "--set", "target.threads=1"]

    def said(text):
        journal = out / "journal.jsonl"
        return journal.exists() and text in journal.read_text()

    kill_when(lambda: said('"dry run"'), command)
    kill_when(lambda: said('"stage": "vocabulary"'), command)
    assert not (out / "result.json").exists()
    options = {"text": "review", "label": "verdict", "set": ["target.tokens=16", "target.threads=1"]}
    lighten.compress(fitted, words[3], reviews, out=out, **options)
    first, second = (json.loads((folder / "predictions.json").read_text()) for folder in (undisturbed, out))
    assert first == second

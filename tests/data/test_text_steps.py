"""The steps that edit and filter texts, one after the other, as a recipe has them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl

from lighten.data import prepare
from lighten.recipe import Data

STEPS = [
    "clean",
    {"quality": {"min_words": 2}},
    {"normalise": {"urls": "<url>", "punctuation": "normalise", "repeats": 2}},
    "spelling",
    "deduplicate",
]


def _write(folder):
    words = ["film", "story", "actor", "music", "ending", "camera"]
    rows = [(f"a realy goood {words[i % 6]} no {i} http://a.b/{i}", "xy"[i % 2]) for i in range(60)]
    rows += [("word", "x"), ("\u201cfine\u201d &amp; dandy", "x"), ("<br>", "y"), ("beleive  it", "y")]
    pl.DataFrame(rows, schema=["text", "label"], orient="row").write_csv(folder / "train.csv")
    test = [("a beleive it", "x"), ("word", "y"), ("see http://a.b", "y"), ("<br>", "y")]
    pl.DataFrame(test, schema=["text", "label"], orient="row").write_csv(folder / "test.csv")


def _prepare(folder, out):
    data = Data(train="train.csv", test="test.csv", text="text", label="label", prepare=STEPS)
    return prepare(data, 0, folder / out, folder)


def test_every_row_is_accounted_for(tmp_path):
    _write(tmp_path)
    report = _prepare(tmp_path, "out")
    assert json.loads(json.dumps(report)) == report
    for note in report["steps"]:
        assert note["rows_in"] - sum(note["dropped"].values()) == note["rows_out"], note["name"]
        assert len(note["examples"]) <= 5
    notes = {(note["part"], note["name"]): note for note in report["steps"]}
    assert notes["train", "quality"]["dropped"] == {"few_words": 1}
    assert notes["test", "quality"]["counts"] == {"kept_few_words": 1}
    assert notes["test", "clean"]["dropped"] == {"empty_text": 1}
    assert notes["train", "normalise"]["counts"] == {"urls": 60, "repeats": 60, "punctuation": 2}
    assert notes["train", "spelling"]["corrections"] == {"beleive -> believe": 1}  # realy is in 60 texts
    texts = [json.loads(line) for line in (tmp_path / "out" / "test.jsonl").read_text().splitlines()]
    assert [row["text"] for row in texts] == ["a believe it", "word", "see <url>"]


def test_the_files_do_not_depend_on_the_hash_seed(tmp_path):
    _write(tmp_path)
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_text_steps as t; "
    script += (
        "from pathlib import Path; import json; r = t._prepare(Path(sys.argv[1]), sys.argv[2]); "
        "[step.pop('seconds') for step in (r, *r['steps'])]; "
    )
    script += "print(json.dumps(r))"
    said = []
    for seed in ("1", "2"):
        run = [sys.executable, "-c", script, str(tmp_path), seed]
        done = subprocess.run(run, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True)
        said.append(done.stdout)
    assert said[0] == said[1]
    for name in ("train", "validation", "test"):
        assert (tmp_path / "1" / f"{name}.jsonl").read_bytes() == (tmp_path / "2" / f"{name}.jsonl").read_bytes()

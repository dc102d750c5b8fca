import csv
import json

import polars as pl
import pytest

import lighten
from lighten.errors import InputError
from lighten.pipeline import read_examples

SPLITS = ("train", "validation", "test")


@pytest.fixture
def recipe(tmp_path):
    rows = [(f"text &amp; number {number}", "ab"[number % 2]) for number in range(60)] + [("", "a")]
    pl.DataFrame(rows, schema=["text", "label"], orient="row").write_csv(tmp_path / "a.csv")
    return {
        "task": "text-classification",
        "data": {"train": str(tmp_path / "a.csv"), "text": "text", "label": "label"},
        "model": "not looked at",
    }


def test_splits_report_and_rejected_rows(tmp_path, recipe):
    result = lighten.prepare(recipe, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if not path.name.startswith(".")) == [
        "data.json", "labels.json", "rejected.jsonl", "test.jsonl", "train.jsonl", "validation.jsonl", "work"
    ]  # fmt: skip
    assert result["rows_read"] == {"train": 61}
    assert sum(len(read_examples(tmp_path / "run" / f"{name}.jsonl")) for name in SPLITS) == 60
    assert json.loads(result.rejected.read_text()) == {
        "file": "a.csv", "row": 62, "reason": "empty_text", "original": None
    }  # fmt: skip
    clean = next(step for step in result.steps if step["name"] == "clean")
    assert (clean["changed"], clean["counts"]) == (60, {"entities": 60})
    assert len(clean["examples"]) == 5
    assert clean["seconds"] > 0
    assert not result["cached"]
    assert json.loads((tmp_path / "run" / "data.json").read_text()) == {
        key: value for key, value in result.to_dict().items() if key != "cached"
    }


def test_the_second_time_nothing_is_done(tmp_path, recipe, monkeypatch):
    first = lighten.prepare(recipe, tmp_path / "run")
    (tmp_path / "run" / "train.jsonl").write_text("spoilt")
    monkeypatch.setattr("lighten.data.prepare", None)
    again = lighten.prepare(recipe, tmp_path / "run", workers=2)
    assert again["cached"]
    assert again.to_dict() == {**first.to_dict(), "cached": True, "reproduce": again["reproduce"]}
    assert len(read_examples(tmp_path / "run" / "train.jsonl")) == first["splits"]["train"]["rows"]
    with pytest.raises(TypeError):  # the stand-in is called where something has changed
        lighten.prepare({**recipe, "seed": 1}, tmp_path / "run")


def test_a_later_step_begins_with_the_rows_of_the_last_time(tmp_path, recipe, monkeypatch):
    lighten.prepare(recipe, tmp_path / "run")
    monkeypatch.setattr("lighten.data.rows.open_files", None)
    recipe["data"]["prepare"] = ["clean", "near_duplicates"]
    assert not lighten.prepare(recipe, tmp_path / "run")["cached"]


def test_formats_hold_the_same_rows(tmp_path, recipe):
    lighten.prepare(recipe, tmp_path / "run")
    lines = read_examples(tmp_path / "run" / "train.jsonl")
    lighten.prepare(recipe, tmp_path / "run", format="parquet")
    table = pl.read_parquet(tmp_path / "run" / "train.parquet")
    assert table.select("text", "label", "row").rows() == list(zip(lines.texts, lines.labels, lines.rows, strict=True))
    assert not (tmp_path / "run" / "train.jsonl").exists()
    lighten.prepare(recipe, tmp_path / "run", format="csv")
    with (tmp_path / "run" / "train.csv").open(newline="") as stream:
        assert [row["text"] for row in csv.DictReader(stream)] == lines.texts
    with pytest.raises(InputError, match="did you mean 'parquet'"):
        lighten.prepare(recipe, tmp_path / "run", format="parket")


def test_several_labels_and_summaries(tmp_path):
    rows = [{"text": f"text {n}", "label": ["a", "b"][: n % 3], "more": f"short {n}" if n else ""} for n in range(30)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"train": str(tmp_path / "a.jsonl"), "text": "text"}
    several = {"task": "text-classification", "data": {**data, "label": "label", "multi_label": True}, "model": "m"}
    result = lighten.prepare(several, tmp_path / "several", format="csv")
    assert result["labels"] == ["a", "b"]
    with (tmp_path / "several" / "train.csv").open(newline="") as stream:
        assert {row["labels"] for row in csv.DictReader(stream)} == {"[]", "[0]", "[0, 1]"}
    summaries = {"task": "summarization", "data": {**data, "summary": "more"}, "model": "m"}
    result = lighten.prepare(summaries, tmp_path / "summaries")
    assert result["dropped"] == {"missing_summary": 1}
    assert json.loads(result.rejected.read_text())["row"] == 1


def test_bad_input_leaves_nothing(tmp_path, recipe):
    recipe["data"]["text"] = "txt"
    with pytest.raises(InputError, match="did you mean 'text'"):
        lighten.prepare(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="workers"):
        lighten.prepare(recipe, tmp_path / "run", workers=0)

import json

import polars as pl
import pytest

from lighten.data.columns import FILE, ROW, Columns
from lighten.data.near_leaks import drop_near_leaks
from lighten.data.near_step import NearDuplicates
from lighten.data.preparation import check_steps, prepare
from lighten.data.rejected import read_rejected
from lighten.errors import InputError
from lighten.pipeline import step_from_spec
from lighten.recipe import Data

BASE = "the waiter was kind and the soup was warm but we had to wait for an hour to get a table near the door"
LIKE = BASE.replace("kind", "friendly")
LONG = BASE + " and nobody came"
OTHER = "nothing in this parcel was what I had ordered so it went back to the shop on the very next morning"
COLUMNS = Columns("t", "y")


def table(rows):
    return pl.DataFrame(rows, schema=["t", "y"], orient="row")


def test_one_of_similar_rows_is_kept():
    result, report = NearDuplicates().apply(table([(BASE, "a"), (OTHER, "a"), (LIKE, "a"), (LONG, "a")]), COLUMNS)
    assert result["t"].to_list() == [BASE, OTHER]
    assert report["dropped"] == {"near_duplicate": 2}
    assert (report["rows_in"], report["rows_out"], report["counts"]) == (4, 2, {"conflicts": 0})
    example = report["examples"][0]
    assert example["row"] == 3 and example["twin"] == 1 and 0.55 < example["score"] < 1
    assert report["pairs"][0]["rows"] == [1, 4]
    assert report["thresholds"]["0.60"] == 2 and report["thresholds"]["1.00"] == 0
    json.dumps(report)


def test_the_longest_is_kept():
    result, _ = NearDuplicates(keep="longest").apply(table([(BASE, "a"), (LONG, "a"), (OTHER, "a")]), COLUMNS)
    assert result["t"].to_list() == [LONG, OTHER]


def test_another_label_is_a_conflict_and_stays():
    rows = table([(BASE, "a"), (LIKE, "b"), (LONG, "b")])
    result, report = NearDuplicates().apply(rows, COLUMNS)
    assert result["t"].to_list() == [BASE, LIKE]
    assert report["counts"] == {"conflicts": 3}
    result, report = NearDuplicates(labels="any").apply(rows, COLUMNS)
    assert result["t"].to_list() == [BASE] and report["counts"] == {}


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_given_test_set_is_left_as_it_is(part):
    rows = table([(BASE, "a"), (LIKE, "a")])
    result, report = NearDuplicates().apply(rows, Columns("t", "y", part=part))
    assert result.equals(rows) and report["dropped"] == {}


def test_texts_without_labels_and_missing_ones():
    rows = pl.DataFrame({"t": [BASE, None, LIKE, None]})
    result, _ = NearDuplicates().apply(rows, Columns("t", part="unlabelled"))
    assert result["t"].to_list() == [BASE, None, None]


def test_all_pairs_go_to_a_file(tmp_path):
    rows = table([(BASE, "a"), (LIKE, "a")]).with_columns(pl.lit("x.csv").alias(FILE), pl.Series(ROW, [7, 9]))
    NearDuplicates(folder=str(tmp_path)).apply(rows, COLUMNS)
    (line,) = (tmp_path / "duplicates.jsonl").read_text().splitlines()
    assert json.loads(line)["rows"] == [7, 9]


def test_in_a_recipe_in_short_and_with_a_wrong_field():
    assert step_from_spec("table", "near_duplicates=0.7", "x") == NearDuplicates(threshold=0.7)
    with pytest.raises(InputError, match="did you mean 'shingle'"):
        step_from_spec("table", {"near_duplicates": {"shingles": 3}}, "x")
    with pytest.raises(InputError, match="threshold"):
        step_from_spec("table", "near_duplicates=1.7", "x")
    data = Data(train="a.csv", text="t", label="y", prepare=["clean", "near_duplicates"])
    assert check_steps(data)[1] == NearDuplicates()


def test_rows_give_way_to_the_part_before():
    parts = {
        "train": table([(BASE, "a"), (OTHER, "a")]),
        "validation": table([(LONG, "a")]),
        "test": table([(LIKE, "b")]),
    }
    left, counts = drop_near_leaks(parts, COLUMNS, [NearDuplicates()])
    assert {name: part.height for name, part in left.items()} == {"train": 1, "validation": 0, "test": 1}
    assert counts == {"near_test": 2}
    left, counts = drop_near_leaks(parts, COLUMNS, [NearDuplicates()], ["validation", "test"])
    assert {name: part.height for name, part in left.items()} == {"train": 1, "validation": 1, "test": 1}
    assert counts == {"near_test": 1, "near_validation_in_test": 1}
    left, counts = drop_near_leaks(parts, COLUMNS, [NearDuplicates(across=False)])
    assert left == parts and counts == {}


def test_leaks_are_dropped_in_a_preparation(tmp_path):
    words = [f"{a}{b}" for a in "abcdefghij" for b in "klmnopqrst"]
    texts = [
        " ".join(words[(7 * row + 11 * place * place) % 100] for place in range(20)) + f" {row}" for row in range(40)
    ]
    train = pl.DataFrame({"t": texts, "y": ["x", "z"] * 20})
    train.write_csv(tmp_path / "train.csv")
    test = [text.replace(words[0], "other") + " end" for text in texts[:4]] + [OTHER, BASE]
    pl.DataFrame({"t": test, "y": ["x", "z"] * 3}).write_csv(tmp_path / "test.csv")
    data = Data(train="train.csv", test="test.csv", text="t", label="y", prepare=["near_duplicates"])
    found = prepare(data, 0, tmp_path / "out", tmp_path)
    assert found["leaks"]["near_test"] >= 4
    assert found["dropped"]["near_test"] == found["leaks"]["near_test"]
    rows = sum(found["splits"][part]["rows"] for part in ("train", "validation"))
    assert rows == 40 - sum(found["dropped"].values())
    reasons = [item["reason"] for item in read_rejected(tmp_path / "out")]
    assert reasons.count("near_test") == found["leaks"]["near_test"]
    (note,) = [note for note in found["steps"] if note["name"] == "near_duplicates" and note["part"] == "train"]
    assert "pairs" in note and "0.60" in note["thresholds"]

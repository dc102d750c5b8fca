"""The step and the function: every method, wrong inputs, a whole preparation."""

import json
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.selection.planted import texts_of
from tests.helpers.checkpoints import sentences, write_model

from lighten.data import prepare, select
from lighten.data.columns import FILE, ROW, Columns
from lighten.data.preparation import sentence
from lighten.data.selection import choose as choosing
from lighten.data.selection import compare as comparing
from lighten.data.selection.step import Select
from lighten.data.selection.vectors import GRID
from lighten.data.selection.wish import METHODS
from lighten.errors import InputError
from lighten.pipeline import read_examples, read_texts, step_from_spec
from lighten.recipe import Data


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Five random samples are fitted in the tests of `compare`; here they would only cost time."""
    monkeypatch.setattr(comparing, "DRAWS", 1)


TEXTS = texts_of("film", 50) + texts_of("food", 30) + texts_of("sport", 20)
LABELS = ["film"] * 50 + ["food"] * 30 + ["sport"] * 20


def table(label="kind"):
    rows = pl.DataFrame({"text": TEXTS, label: LABELS})
    return rows.with_columns(pl.lit("rows.csv").alias(FILE), pl.int_range(2, 102).alias(ROW))


def wishes(method):
    return {"target": texts_of("food", 10, seed=4)} if method == "importance" else {}


@pytest.mark.parametrize("method", METHODS)
def test_every_method(method):
    rows, report = select(TEXTS, method, rows=20, labels=LABELS, **wishes(method))
    assert rows == sorted(set(rows)) and len(rows) == 20 and rows[0] >= 0 and rows[-1] < 100
    assert (rows, report) == select(TEXTS, method, share=0.2, labels=LABELS, **wishes(method))
    assert json.loads(json.dumps(report)) == report
    assert report["selected"]["rows"] == report["random"]["rows"] == 20 == sum(report["random"]["by_label"].values())
    kept, _ = select(table(), method, rows=20, label="kind", **wishes(method))
    assert kept["text"].to_list() == [TEXTS[row] for row in rows]
    if method == "stratified":
        assert report["selected"]["by_label"] == {"film": 10, "food": 6, "sport": 4}
    if method == "balanced":
        assert report["selected"]["by_label"] == {"film": 7, "food": 7, "sport": 6}
    if method in ("uncertainty", "el2n"):
        assert "usually lose" in report["notes"][0]
        mean = {name: scores["mean"] for name, scores in report["scores"].items()}
        assert (mean["selected"] > mean["all"]) == (method == "el2n")
        easy, _ = select(TEXTS, method, rows=20, labels=LABELS, hardest=False)
        assert not set(easy) & set(rows)


@pytest.mark.parametrize("method", ["k_means", "facility_location", "k_centre", "redundancy", "importance", "el2n"])
def test_within_each_label(method):
    _, report = select(TEXTS, method, rows=20, labels=LABELS, per_label=True, **wishes(method))
    assert report["selected"]["by_label"] == {"film": 10, "food": 6, "sport": 4}


def test_all_rows_and_labels_left_out():
    assert select(TEXTS, "k_means", rows=100)[0] == list(range(100))
    rows, report = select(TEXTS, "uncertainty", labels=LABELS)
    assert rows == list(range(100)) and report["scores"]["all"] == report["scores"]["selected"]
    _, report = select(TEXTS, "k_centre", rows=1, labels=LABELS)
    assert report["notes"][0].startswith("no row is left of 2 of 3 labels")


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=14), st.data())
def test_any_texts_in_any_number(texts, data):
    method = data.draw(st.sampled_from(METHODS))
    rows = data.draw(st.integers(1, len(texts)))
    labels = [str(row % 2) for row in range(len(texts))]
    if method == "balanced" and rows > 2 * (len(texts) // 2):
        rows = 1
    target = {"target": ["some words"]} if method == "importance" else {}
    found, _ = select(texts, method, rows=rows, labels=labels, **target)
    assert found == sorted(set(found)) and len(found) == rows


def test_above_the_limit(monkeypatch):
    monkeypatch.setattr(choosing, "EXHAUSTIVE", 40)
    monkeypatch.setattr(choosing.choose, "__defaults__", (40,))
    rows, report = select(TEXTS, "facility_location", rows=20)
    assert len(rows) == 20 and report["notes"] == ["chosen from a random sample of 40 of 100 rows"]
    rows, report = select(TEXTS, "redundancy", rows=77)
    assert len(rows) == 77 and report["notes"] == ["rows were compared within 3 random blocks, not across them"]
    with pytest.raises(InputError, match="random sample of 40 of 100 rows; 41 rows are more"):
        select(TEXTS, "facility_location", rows=41)


@pytest.mark.parametrize(
    "method,wish,message",
    [
        ("random", {"rows": 101}, "select: rows must be at most 100, as many as there are; got 101"),
        ("random", {"rows": 0}, "rows must be at least 1; got 0"),
        ("random", {"share": 1.5}, "share must be above 0 and at most 1; got 1.5"),
        ("random", {"share": 0.5, "rows": 5}, "either rows or share"),
        ("random", {}, "needs rows"),
        ("randon", {"rows": 5}, "'randon' is no method; .*did you mean 'random'"),
        ("balanced", {"rows": 90}, "90 rows are 30 of each label, but 'sport' has 20; ask for at most 60"),
        ("importance", {"rows": 5}, "target goes with"),
        ("random", {"rows": 5, "target": ["a"]}, "target goes with"),
        ("importance", {"rows": 5, "target": []}, "needs a target"),
        ("importance", {"rows": 5, "target": ["?"]}, "must hold words"),
        ("stratified", {"rows": 5, "labels": None}, "'stratified' needs one label for each row"),
        ("k_means", {"rows": 5, "labels": None, "per_label": True}, "per_label needs one label for each row"),
        ("random", {"rows": 5, "per_label": True}, "per_label is for the other methods"),
        ("random", {"rows": 5, "labels": ["a"]}, "expected one label for each of 100 texts; got 1"),
        ("random", {"rows": 5, "label": "kind"}, "give labels"),
    ],
)
def test_wrong_wishes(method, wish, message):
    with pytest.raises(InputError, match=message):
        select(TEXTS, method, **{"labels": LABELS, **wish})


def test_wrong_tables():
    with pytest.raises(InputError, match=r"label=: there is no column 'kin'.*did you mean 'kind'"):
        select(table(), rows=5, label="kin")
    with pytest.raises(InputError, match="every row needs a text; row 1 "):
        select(pl.DataFrame({"text": ["a", None]}), "random", rows=1)
    with pytest.raises(InputError, match="no rows"):
        select([], "random", rows=1)
    with pytest.raises(InputError, match="one text"):
        select("some text", "random", rows=1)


@pytest.mark.parametrize(
    "fields,message",
    [
        ({"method": "k_mean", "rows": 3}, "method.*'k_means'"),
        ({"method": "random", "rows": 0}, "rows.*greater than or equal to 1; got 0"),
        ({"method": "random", "share": 1.2}, "share.*less than or equal to 1; got 1.2"),
        ({"method": "importance", "rows": 3}, "needs a target"),
        ({"method": "random", "rows": 3, "target": "a.csv"}, "target is for the method 'importance'"),
        ({"method": "random", "rows": 3, "hardest": False}, "hardest is for uncertainty and el2n"),
        ({}, "needs rows"),
    ],
)
def test_wrong_steps(fields, message):
    with pytest.raises(InputError, match=r"data.prepare\[0\], step 'select'.*" + message):
        step_from_spec("table", {"select": fields}, "data.prepare[0]")


def test_the_step(tmp_path):
    kept, note = Select(method="redundancy", share=0.9).apply(table(), Columns("text", "kind", seed=1))
    assert note["rows_in"] == 100 and note["rows_out"] == kept.height == 90
    assert note["dropped"] == {"not_selected": 10}
    first = note["examples"][0]
    assert first["after"] is None and first["score"] > 0.5 and first["like"] == TEXTS[first["twin"] - 2]
    assert first["before"] == TEXTS[first["row"] - 2] and first["label"] == LABELS[first["row"] - 2]
    for part in ("validation", "test", "unlabelled"):
        same, note = Select(rows=3).apply(table(), Columns("text", "kind", part=part))
        assert same.equals(table()) and note["rows_out"] == 100 and "selection" not in note
    with pytest.raises(InputError, match=r"step 'select' on data\.train: rows must be at most 100"):
        Select(rows=200).apply(table(), Columns("text", "kind"))
    spec = step_from_spec("table", "select=k_means:rows=7", "x")
    assert spec.apply(table(), Columns("text", "kind"))[0].height == 7


def test_the_seed_is_the_recipes_unless_given():
    columns = Columns("text", "kind", seed=5)
    given_5 = Select(method="random", rows=9, seed=5).apply(table(), Columns("text", "kind"))
    assert Select(method="random", rows=9).apply(table(), columns)[0].equals(given_5[0])
    assert not Select(method="random", rows=9, seed=6).apply(table(), columns)[0].equals(given_5[0])


def test_a_target_from_a_source(tmp_path):
    pl.DataFrame({"body": [None, *texts_of("sport", 30, seed=8)]}).write_csv(tmp_path / "wanted.csv")
    step = Select(method="importance", rows=15, target="wanted.csv", target_text="body")
    assert step.sources() == ["wanted.csv"]
    _, note = step.apply(table(), Columns("text", "kind", base=tmp_path))
    assert note["selection"]["selected"]["by_label"]["sport"] > 10
    with pytest.raises(InputError, match=r"step 'select', target: there is no column 'text'; columns are body"):
        Select(method="importance", rows=15, target="wanted.csv").apply(table(), Columns("text", base=tmp_path))
    with pytest.raises(InputError, match=r"nothing\.csv"):
        Select(method="importance", rows=15, target="nothing.csv").apply(table(), Columns("text", base=tmp_path))


def test_the_embeddings_of_a_model(tmp_path):
    write_model(tmp_path / "encoder", "bert")
    texts, labels = sentences(40)
    step = Select(method="k_means", rows=8, model="encoder", cache="kept")
    assert step.sources() == ["encoder"]
    columns = Columns("text", "label", base=tmp_path)
    rows = pl.DataFrame({"text": texts, "label": [str(label) for label in labels]})
    kept, note = step.apply(rows, columns)
    assert kept.height == 8 and note["selection"]["features"] == "encoder"
    (file,) = (tmp_path / "kept").iterdir()
    points = np.load(file, allow_pickle=False)
    assert points.shape[0] == 40 and np.abs(np.linalg.norm(points, axis=1) - GRID).max() < 8
    again, same = step.apply(rows, columns)
    assert again.equals(kept) and same == note
    write_model(tmp_path / "encoder", "bert", seed=1)
    step.apply(rows, columns)
    assert len(list((tmp_path / "kept").iterdir())) == 2  # another model, other embeddings


def recipe(**changes):
    fields = {"train": "rows.csv", "text": "text", "label": "kind"}
    return Data(**{**fields, **changes})


def test_a_preparation_selects_training_rows_only(tmp_path):
    texts = [f"{text} {row}" for row, text in enumerate(TEXTS)]
    pl.DataFrame({"text": texts, "kind": LABELS}).write_csv(tmp_path / "rows.csv")
    whole = prepare(recipe(), 0, tmp_path / "whole", tmp_path)
    steps = ["clean", "deduplicate", {"select": {"method": "k_means", "rows": 30}}]
    report = prepare(recipe(prepare=steps), 0, tmp_path / "part", tmp_path)
    for part in ("validation", "test"):
        assert (tmp_path / "part" / f"{part}.jsonl").read_bytes() == (
            tmp_path / "whole" / f"{part}.jsonl"
        ).read_bytes()
    train = read_examples(tmp_path / "part" / "train.jsonl")
    assert len(train) == report["splits"]["train"]["rows"] == 30
    assert set(train.texts) < set(read_texts(tmp_path / "whole" / "train.jsonl"))
    assert report["dropped"]["not_selected"] == whole["splits"]["train"]["rows"] - 30
    assert report["steps"][-1]["selection"]["random"]["rows"] == 30
    assert "k_means, 30 rows: coverage" in sentence(report)
    assert json.loads(json.dumps(report)) == report


def test_unlabelled_text_is_resampled_toward_the_task(tmp_path):
    pl.DataFrame({"text": TEXTS[:80], "kind": LABELS[:80]}).write_csv(tmp_path / "rows.csv")
    pool = [*texts_of("sport", 100, seed=3), *texts_of("food", 60, seed=3)]
    pl.DataFrame({"text": pool}).write_csv(tmp_path / "more.csv")
    fields = {"unlabelled": "more.csv", "prepare": ["clean"]}
    report = prepare(recipe(**fields, unlabelled_rows=40), 0, tmp_path / "out", tmp_path)
    found = read_texts(tmp_path / "out" / "unlabelled.jsonl")
    assert len(found) == report["splits"]["unlabelled"]["rows"] == 40
    assert report["dropped"]["unlabelled_unlike"] == 120
    assert sum(text in pool[100:] for text in found) > 35
    report = prepare(recipe(**fields, unlabelled_rows=1000), 0, tmp_path / "all", tmp_path)
    assert report["splits"]["unlabelled"]["rows"] == 160 and not report["dropped"].get("unlabelled_unlike")


CODE = """
import sys
from lighten.data import select
from tests.data.selection.planted import texts_of
texts = texts_of("film", 60) + texts_of("food", 60)
for method in ("k_means", "facility_location", "redundancy", "el2n"):
    print(method, *select(texts, method, rows=25, labels=["a"] * 60 + ["b"] * 60)[0])
"""


def test_the_same_rows_whatever_the_threads_and_the_hash_seed():
    told = set()
    for threads in ("1", "2"):
        more = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        done = subprocess.run(
            [sys.executable, "-c", CODE], env={**os.environ, **more}, capture_output=True, text=True, check=True
        )
        told.add(done.stdout)
    assert len(told) == 1 and len(told.pop().split()) == 4 * 26

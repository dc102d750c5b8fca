from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.explained_sample import ANSWERS, LABELS, explained_result, write_answers, write_run

from lighten.errors import InputError
from lighten.report.flips import Row, count_flips, flips_of


def test_every_flip_is_counted_with_its_class_and_texts(tmp_path):
    found = flips_of(write_run(tmp_path), explained_result(), examples=2)
    assert {key: found[key] for key in ("split", "n", "fixed", "broken", "other")} == {
        "split": "test",
        "n": len(ANSWERS),
        "fixed": 3,
        "broken": 3,
        "other": 0,
    }
    fresh, rotten = found["classes"]
    assert (fresh["label"], fresh["n"], fresh["fixed"], fresh["broken"]) == ("fresh", 10, 1, 3)
    assert (fresh["reference"], fresh["chosen"]) == (90.0, 70.0)
    assert (rotten["reference"], rotten["chosen"]) == (70.0, 90.0)
    assert [one["row"] for one in fresh["examples"]["broken"]] == [106, 107]
    assert fresh["examples"]["broken"][0]["text"] == ANSWERS[6][3]
    assert fresh["examples"]["broken"][0]["chosen"] == "rotten"
    assert rotten["examples"]["fixed"][0]["reference"] == "fresh"


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), max_size=40), st.integers(0, 3))
def test_counts_add_up(answers, examples):
    rows = [Row(str(i), truth, i) for i, (truth, _, _) in enumerate(answers)]
    found = count_flips("abc", rows, [a[1] for a in answers], [a[2] for a in answers], examples)
    before, after = (sum(a[0] == a[which] for a in answers) for which in (1, 2))
    assert found["fixed"] - found["broken"] == after - before
    assert found["fixed"] + found["broken"] + found["other"] == sum(a[1] != a[2] for a in answers)
    assert sum(one["n"] for one in found["classes"]) == len(answers)
    for one in found["classes"]:
        assert (one["reference"] is None) == (one["n"] == 0)
        for kind in ("fixed", "broken"):
            assert len(one["examples"][kind]) == min(examples, one[kind])


def test_nothing_was_delivered_so_nothing_is_compared(tmp_path):
    assert flips_of(tmp_path, {**explained_result(), "chosen": None}) is None


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("predictions.json", None, "predictions.json: missing"),
        ("predictions.json", "{", "not a JSON document"),
        ("predictions.json", "[]", "expected the labels"),
        ("predictions.json", json.dumps({"labels": LABELS, "chosen": [0]}), "no list of answers of reference"),
        ("predictions.json", json.dumps({"labels": LABELS, "chosen": [2], "reference": [0]}), "from 0 to 1; got 2"),
        ("predictions.json", json.dumps({"labels": LABELS, "chosen": [True], "reference": [0]}), "got True"),
        ("predictions.json", json.dumps({"labels": LABELS, "chosen": [0], "reference": [0]}), "1 answers of chosen"),
        ("predictions.json", b"\xff\xfe", "not UTF-8"),
        ("work/data/test.jsonl", None, "test.jsonl: missing"),
        ("work/data/test.jsonl", '{"text": "a"}\n', "test.jsonl, line 1: damaged"),
        ("work/data/test.jsonl", '{"text": "a", "label": 0}\n{"text"', "line 2: damaged"),
        ("work/data/test.jsonl", '{"text": "a", "label": 7}\n', "label 7 is not one of the 2"),
    ],
)
def test_what_is_missing_or_damaged_is_named(tmp_path, name, content, words):
    write_run(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        flips_of(tmp_path, explained_result())
    assert words in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_the_test_split_must_be_in_the_run_folder(tmp_path):
    run = write_run(tmp_path / "run")
    write_answers(tmp_path / "elsewhere", data="data")
    with pytest.raises(InputError, match="inside the run folder"):
        flips_of(run, {**explained_result(), "folders": {"data": "../elsewhere/data"}})
    with pytest.raises(InputError, match=r"folders\.data"):
        flips_of(run, {**explained_result(), "folders": {}})

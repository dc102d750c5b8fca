"""A cascade's folder holds its parts as they were."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.helpers.cascades import make_cascade, texts

from lighten.errors import InputError
from lighten.export.cascade import CLEAR, Rule, note, write_cascade
from lighten.measure.size import size_mb
from lighten.runtime import load
from lighten.runtime.cascade import margins


def test_every_file_of_the_parts_is_there_and_counted(tmp_path, make_model_folder):
    folder = make_cascade(tmp_path / "both", make_model_folder)
    content = json.loads((folder / "lighten.json").read_text())
    assert content["format"] == 2 and content["cascade"]["confidence"] == "logit-margin"
    for part in ("first", "second"):
        source = tmp_path / f"both-{part}"
        for file in (item for item in source.rglob("*") if item.is_file()):
            name = file.relative_to(source).as_posix()
            assert (folder / part / name).read_bytes() == file.read_bytes()
            role = "training" if name == "model.safetensors" else "serving"
            assert content["files"][f"{part}/{name}"]["role"] == role
        assert load(folder / part).self_test() == []
    parts = sum(size_mb(tmp_path / f"both-{part}") for part in ("first", "second"))
    own = (folder / "lighten.json").stat().st_size / 1e6
    assert size_mb(folder) == pytest.approx(parts + own)


def test_the_self_test_asks_both_models_and_nothing_near_the_threshold(tmp_path, make_model_folder):
    cascade = load(make_cascade(tmp_path / "both", make_model_folder))
    cases = cascade.folder.self_test
    assert len(cases) == 8 and {case["answered_by"] for case in cases} == {"first", "second"}
    for case in cases:
        first = cascade.first.logits(case["text"])
        assert abs(margins(first)[0] - cascade.threshold) > CLEAR * max(1.0, np.abs(first).max())
        found = cascade.predict(case["text"])[0]
        assert (found.label, found.answered_by) == (case["label"], case["answered_by"])


def test_a_text_that_rounding_may_move_is_no_case_of_the_self_test(tmp_path, make_model_folder):
    first = load(make_model_folder(tmp_path / "alone", seed=0))
    near = texts()[0]
    threshold = float(margins(first.logits(near))[0]) + 1e-3
    cases = load(make_cascade(tmp_path / "both", make_model_folder, threshold=threshold)).folder.self_test
    assert cases and near not in [case["text"] for case in cases]


@pytest.mark.parametrize(("threshold", "who"), [(0.0, "first"), (1e6, "second")])
def test_one_side_fills_the_self_test_where_the_other_is_empty(tmp_path, make_model_folder, threshold, who):
    cases = load(make_cascade(tmp_path / "both", make_model_folder, threshold=threshold)).folder.self_test
    assert [case["answered_by"] for case in cases] == [who] * 8


def test_parts_that_do_not_fit_are_refused(tmp_path, make_model_folder):
    one = make_model_folder(tmp_path / "one")
    turned = make_model_folder(tmp_path / "turned", labels=("rotten", "fresh"))
    both = make_cascade(tmp_path / "both", make_model_folder)
    for second, said in ((turned, "same labels in the same order"), (both, "single classifier, not a cascade")):
        (tmp_path / "out").mkdir(exist_ok=True)
        with pytest.raises(InputError, match=said):
            write_cascade(tmp_path / "out", one, second, Rule(1.0, 0.5, 10))
    (tmp_path / "bad").mkdir()
    with pytest.raises(InputError, match=r"cascade\.threshold must be"):
        write_cascade(tmp_path / "bad", one, one, Rule(-1.0, 0.5, 10), samples=texts(3))


def test_the_note_says_it_in_words():
    said = note(Rule(np.log(4.0), 0.183, 1800))
    assert "at least 4 times as probable" in said and "18.3% of texts" in said and "1,800" in said

"""What a compression is known by, and what of it a dry run uses."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from tests.compose.conftest import write_reviews

from lighten.compose import opening, rehearsal
from lighten.compose.given import take_model
from lighten.compose.opening import identify, open_kind, plan_for
from lighten.compose.request import Request
from lighten.compose.stages import carry_out
from lighten.errors import InputError
from lighten.models.checkpoint import read_config
from lighten.models.ngrams import WidePart, write_ngrams
from lighten.progress import Progress


@pytest.fixture
def recipe(fitted, reviews, tmp_path):
    unlabelled = tmp_path / "more.jsonl"
    rows = [json.dumps({"review": f"the plot was warm, dull and long, number {i}"}) for i in range(500)]
    unlabelled.write_text("\n".join(rows) + "\n")
    options = (f"data.unlabelled={unlabelled}", "target.tokens=16", "target.threads=1")
    asked = Request(fitted, "layers=1,distil=1", reviews, "review", "verdict", set=options)
    return asked.recipe()[0]


def test_work_of_other_code_is_not_taken_for_this_one(recipe, monkeypatch):
    before = identify(recipe, None, Progress(), False)
    assert identify(recipe, None, Progress(), False).whole == before.whole
    monkeypatch.setattr(opening, "OUTCOMES", opening.OUTCOMES + 1)
    assert identify(recipe, None, Progress(), False).whole != before.whole


def test_a_dry_run_uses_a_few_of_the_unlabelled_texts(recipe, tmp_path):
    identity = identify(recipe, None, Progress(), False)
    kind = open_kind(recipe, tmp_path / "run", None, Progress(), identity)
    assert len(kind.work.unlabelled) > 400
    (tmp_path / "scratch").mkdir()
    small = kind.small(tmp_path / "scratch", 2)
    assert len(small.work.unlabelled) == len(small.work.train) < 60
    plan = plan_for(small, [rehearsal.shortened(step) for step in identity.steps])
    *_, last = carry_out(small, plan, lambda number, name: None)
    assert last.details["unlabelled"] == len(small.work.train)
    assert last.details["teacher_seconds"] >= 0
    assert len(kind.work.unlabelled) > 400  # the work itself goes on with all


def test_a_default_section_train_is_no_reason_to_refuse(tmp_path, fitted):
    """A recipe that a compression left behind names every key."""
    asked = Request(fitted, "int8", write_reviews(tmp_path / "reviews.csv"), "review", "verdict")
    again, _ = Request(asked.recipe()[0].resolved()).recipe()
    opening.check_compressible(again)


@pytest.mark.parametrize("words", ["layers=1", "layers=1,int8", "int8"])
def test_an_n_gram_part_fits_no_other_model(tmp_path, fitted, words):
    model = shutil.copytree(fitted, tmp_path / "model")
    size = read_config(model)["vocab_size"]
    write_ngrams(model, WidePart(np.zeros((size + 3, 3), np.float16), np.full(3, -1), np.ones(2, np.float32)))
    asked = Request(model, words, write_reviews(tmp_path / "reviews.csv"), "review", "verdict",
                    set=("target.tokens=16",))  # fmt: skip
    recipe = asked.recipe()[0]
    identity = identify(recipe, None, Progress(), False)
    kind = open_kind(recipe, tmp_path / "run", None, Progress(), identity)
    if words == "int8":
        taken = take_model(kind.work) if plan_for(kind, identity.steps) else None
        assert taken is not None and (taken.path / "ngrams.safetensors").is_file()
    else:
        with pytest.raises(InputError, match=r"only quantise may be done, not 'layers=1'; remove the file"):
            plan_for(kind, identity.steps)

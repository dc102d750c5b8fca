"""What fine-tuning and distillation have in common."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.checkpoints import KINDS, write_model

from lighten.compress.fit import SMALLEST_BATCH, STEPS_PER_EPOCH, batch_budget, padding_id, peak_rate, width_of
from lighten.compress.labels import labels_of
from lighten.compress.steps import Finetune
from lighten.models.checkpoint import read_state
from lighten.models.load import load_classifier
from lighten.models.tokens import encode, read_tokenizer
from lighten.train.checkpoint import Checkpoints
from lighten.train.infer import infer
from lighten.train.precision import Precision

STEP = Finetune(epochs=8, learning_rate=1e-3, precision="fp32")


class Killed(BaseException):
    """Stands for ``kill -9``."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_learns(checkpoints, tmp_path, make_context, kind):
    """The report's score is that of the model on disk, in the given tokenizer's ids."""
    (tmp_path / "m").mkdir()
    context = make_context(train=400, validation=100, longest=4)
    report = STEP.apply(checkpoints[kind], tmp_path / "m", context)
    assert report["best"] > 80
    model = load_classifier(tmp_path / "m", context.labels, 0)
    validation = encode(read_tokenizer(tmp_path / "m"), context.validation.texts, 40)
    logits = infer(model, validation, padding_id(model), Precision("fp32", "")).logits
    score = float((logits.argmax(1).numpy() == np.array(context.validation.labels)).mean() * 100)
    last = [entry["validation"] for entry in report["history"] if entry["validation"] is not None][-1]
    assert score == pytest.approx(report["best"], abs=1e-3) or score == pytest.approx(last, abs=1e-3)


def test_rows_that_never_occur_stay_as_they_were(bert, tmp_path, make_context):
    (tmp_path / "m").mkdir()
    context = make_context()
    STEP.apply(bert, tmp_path / "m", context)
    before, after = (read_state(folder)["bert.embeddings.word_embeddings.weight"] for folder in (bert, tmp_path / "m"))
    used = np.unique(np.concatenate(encode(read_tokenizer(bert), context.train.texts, 40)))
    changed = np.flatnonzero((before != after).any(1))
    np.testing.assert_array_equal(changed, used)


@pytest.mark.parametrize(("kind", "padding"), [("bert", 0), ("roberta", 1), ("roberta", 4)])
def test_a_step_that_was_killed_gives_the_same_model(tmp_path, make_context, monkeypatch, kind, padding):
    source = write_model(tmp_path / "source", kind, padding=padding)
    monkeypatch.setattr(Checkpoints, "due", lambda self: self.folder is not None)
    step = Finetune(epochs=2, precision="fp32", dropout=0.1)
    for name in ("whole", "killed", "resumed"):
        (tmp_path / name).mkdir()
    step.apply(source, tmp_path / "whole", make_context(checkpoints=tmp_path / "a"))
    countdown = iter(range(7, 0, -1))

    def tick() -> None:
        if next(countdown) == 1:
            raise Killed

    with pytest.raises(Killed):
        step.apply(source, tmp_path / "killed", make_context(checkpoints=tmp_path / "b", tick=tick))
    assert not list((tmp_path / "killed").iterdir()) and (tmp_path / "b/last").is_dir()
    step.apply(source, tmp_path / "resumed", make_context(checkpoints=tmp_path / "b"))
    whole, resumed = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "resumed"))
    assert whole == resumed


def test_padding_and_width(checkpoints):
    for kind in KINDS:
        model = load_classifier(checkpoints[kind], ["a", "b"], 0)
        assert padding_id(model) == (1 if kind == "roberta" else 0)
        assert width_of(checkpoints[kind]) == 32


def test_labels(make_context):
    context = make_context()
    assert labels_of(context).tolist() == context.train.labels


@given(st.integers(16, 10_000), st.lists(st.integers(1, 64), max_size=300))
def test_small_sets_get_small_batches(wanted, lengths):
    budget = batch_budget(wanted, [np.zeros(n, np.int32) for n in lengths])
    assert budget <= wanted
    if budget < wanted:
        assert budget == max(SMALLEST_BATCH, sum(lengths) // STEPS_PER_EPOCH)


def test_the_peak_rate_falls_with_the_width():
    assert peak_rate(None, 2e-4, 384) == pytest.approx(2e-4)
    assert peak_rate(None, 2e-4, 768) == pytest.approx(5e-5)
    assert peak_rate(None, 2e-4, 32) == pytest.approx(6e-4)
    assert peak_rate(1e-3, 2e-4, 768) == 1e-3

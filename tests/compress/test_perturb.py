"""Perturbed copies of texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.compress.perturb import FEWEST, perturbed
from lighten.compress.steps import Distil, QuantisationAwareTraining, StaticEmbeddings
from lighten.pipeline.step import Step
from lighten.train.loop import Training

FILM = "the film was warm and funny and far too long for what it is"
PLOT = "a dull mess of a plot"
CHINESE = "这部电影很温暖"


def pieces_of(text: str) -> int:
    """Return how many pieces a text has, sign by sign."""
    apart = "".join(
        f" {sign} " if "\u2e80" <= sign <= "\u9fff" or "\uf900" <= sign <= "\ufaff" else sign for sign in text
    )
    return len(apart.split())


@given(st.lists(st.text(max_size=40), max_size=6), st.integers(0, 3), st.integers(0, 9))
def test_there_is_one_for_each_text_and_copy_and_fewer_are_the_first_of_more(texts, copies, seed):
    found = perturbed(texts, copies, seed)
    assert len(found) == copies * len(texts)
    assert perturbed(texts, copies + 1, seed)[: len(found)] == found
    most = max((pieces_of(text) for text in texts), default=0)
    assert all(bool(copy.strip()) == bool(text.strip()) for copy, text in zip(found, texts * copies, strict=True))
    assert all(pieces_of(copy) <= most for copy in found)


def test_copies_are_made_of_the_pieces_of_the_texts():
    found = perturbed([FILM, PLOT], 30, 0)
    known = {*FILM.split(), *PLOT.split()}
    assert all(set(copy.split()) <= known for copy in found)
    assert all(FEWEST <= len(copy.split()) <= len(FILM.split()) for copy in found)
    films = found[::2]
    assert len(set(films)) >= 20
    assert any(copy in FILM and copy != FILM for copy in films), "a stretch"
    assert any(copy.startswith("the film was") and copy.endswith("of a plot") for copy in films), "joined"
    assert any(len(copy.split()) == len(FILM.split()) and copy != FILM for copy in films), "swapped"


def test_what_is_written_without_blanks_is_cut_at_its_signs():
    found = perturbed([CHINESE], 20, 0)
    assert len(set(found)) > 5 and all(set(copy) <= set(CHINESE) for copy in found)
    assert " " not in "".join(found)


def test_no_words_are_glued_together():
    found = perturbed([FILM, PLOT, "good"], 30, 1)
    assert {word for copy in found for word in copy.split()} <= {*FILM.split(), *PLOT.split(), "good"}


def test_the_seed_decides():
    assert perturbed([FILM], 3, 0) == perturbed([FILM], 3, 0) != perturbed([FILM], 3, 1)


@pytest.mark.parametrize(
    "step",
    [
        Distil(epochs=4, tokens_per_batch=128, precision="fp32"),
        QuantisationAwareTraining(epochs=4, tokens_per_batch=128),
        StaticEmbeddings(width=16, hidden=16, epochs=4, tokens_per_batch=128),
    ],
    ids=lambda step: step.name,
)
def test_a_training_takes_as_long_with_copies_as_without(step: Step, bert, tmp_path, make_context, monkeypatch):
    planned, run = [], Training.run
    monkeypatch.setattr(Training, "run", lambda training: planned.append(training.total_steps) or run(training))
    for copies in (0, 3):
        (tmp_path / str(copies)).mkdir()
        context = make_context(train=256, teacher_model=bert, copies=copies)
        report = step.apply(bert, tmp_path / str(copies), context)
        assert report["epochs"] <= 4.3
    assert planned[1] == pytest.approx(planned[0], rel=0.15)

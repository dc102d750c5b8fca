"""What steps learn from: labels of texts, of their pieces, of none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lighten.compress.labels import accuracy_of, hard_labels, labels_of, supervised
from lighten.compress.step import Context
from lighten.compress.steps import Distil, Finetune
from lighten.compress.teacher import cache_teacher
from lighten.models.chunked import chunked, owner_of
from lighten.models.tokens import read_tokenizer
from lighten.pipeline.examples import Examples
from lighten.runtime.long_texts import Long
from lighten.train.objectives import Classification, MultiLabel, Pooled

WHOLE = Long.named("hierarchical")
LIMIT = 12


def texts(count, seed):
    """One of six sentences says the label, in a word."""
    random = np.random.default_rng(seed)
    found, labels = [], random.integers(0, 2, count).tolist()
    for label in labels:
        sentences = ["the film was a film and it was"] * 6
        sentences[random.integers(6)] = f"the film was {('boring', 'great')[label]} and it was"
        found.append(" ".join(sentences))
    return Examples(found, labels, list(range(2, count + 2)))


@pytest.fixture
def pieces(bert):
    """A context whose examples are pieces of texts, as a build with ``hierarchical`` makes it."""

    def make(train=60, validation=40, long=WHOLE):
        tokenizer = read_tokenizer(bert)
        parts = [chunked(texts(n, seed), tokenizer, LIMIT, long) for seed, n in ((1, train), (2, validation))]
        return Context(["bad", "good"], *parts, LIMIT, 0, long=long)

    return make


def test_pieces_of_a_text_have_no_label_of_their_own(pieces, bert):
    context = pieces()
    assert len(context.train) > 4 * 60
    assert (hard_labels(context) == -1).all()
    mean = replace(context, long=Long("chunk"))
    assert torch.equal(hard_labels(mean), labels_of(mean))
    # A text of one piece keeps its own.
    short = replace(context, train=chunked(replace_first(texts(3, 1)), read_tokenizer(bert), LIMIT, WHOLE))
    assert hard_labels(short)[0] == short.train.labels[0] and (hard_labels(short)[1:] == -1).all()


def replace_first(examples):
    return Examples(["great film", *examples.texts[1:]], examples.labels, examples.rows)


def test_what_is_minimised(pieces, make_context):
    objective, owner = supervised(pieces())
    assert isinstance(objective, Pooled) and owner is not None and owner.max() == 59
    assert objective.objective.labels.tolist() == texts(60, 1).labels
    objective, owner = supervised(make_context())
    assert isinstance(objective, Classification) and owner is None
    several = make_context()
    several.train.more["labels"] = [[0, 1]] * len(several.train)
    assert isinstance(supervised(several)[0], MultiLabel)


def test_accuracy_is_that_of_whole_texts(pieces):
    context = pieces(validation=2)
    owner, labels = owner_of(context.validation), texts(2, 2).labels
    logits = torch.zeros(len(owner), 2)
    logits[np.flatnonzero(owner == 0)[1], labels[0]] = 5.0
    logits[np.flatnonzero(owner == 1)[0], 1 - labels[1]] = 5.0
    assert accuracy_of(logits, context) == 50.0


def test_a_teacher_learns_the_texts_and_its_student_the_pieces(bert, tmp_path, pieces):
    context = pieces(train=300)
    for name in ("teacher", "answers", "student"):
        (tmp_path / name).mkdir()
    step = Finetune(epochs=10, learning_rate=3e-3, precision="fp32")
    report = step.apply(bert, tmp_path / "teacher", context)
    assert report["best"] > 95
    cache_teacher(tmp_path / "teacher", tmp_path / "answers", context)
    context = replace(context, teacher=tmp_path / "answers", teacher_model=tmp_path / "teacher")
    taught = Distil(epochs=6, learning_rate=3e-3, precision="fp32").apply(bert, tmp_path / "student", context)
    assert taught["best"] > 95

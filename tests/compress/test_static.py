"""Static-embedding students, from the step to the served model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from lighten.compress.answers import read_teacher
from lighten.compress.static import StaticEmbeddings
from lighten.compress.steps import Quantise, Vocabulary
from lighten.errors import InputError
from lighten.export.bundle import Serving, write_bundle
from lighten.export.checkpoint import graph_of
from lighten.models.static import FILE, read_static
from lighten.models.tokens import read_tokenizer
from lighten.pipeline.examples import Examples
from lighten.runtime import load

SMALL = {"width": 16, "hidden": 16, "epochs": 12}


def serve(steps, source, tmp_path, context):
    """Apply the steps one after the other; returns the served model and the last step's metrics."""
    metrics = {}
    for number, step in enumerate(steps):
        target = tmp_path / str(number)
        target.mkdir()
        metrics[step.name], source = step.apply(source, target, context), target
    (tmp_path / "model").mkdir()
    serving = Serving(tuple(context.labels), context.max_tokens, 1)
    samples = context.validation.texts[:3]
    write_bundle(tmp_path / "model", graph_of(source), source, serving, samples=samples)
    return load(tmp_path / "model"), metrics


def accuracy(model, examples, labels) -> float:
    predicted = [p.label for p in model.predict(examples.texts)]
    return float(np.mean([p == labels[i] for p, i in zip(predicted, examples.labels, strict=True)]) * 100)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("ngrams", [0, 500])
def test_a_task_is_learned_from_hard_labels(bert, tmp_path, make_context, classes, ngrams):
    context = make_context(train=200, validation=80, classes=classes)
    step = StaticEmbeddings(**SMALL, ngrams=ngrams)
    model, metrics = serve([step], bert, tmp_path, context)
    found = metrics["static"]
    assert accuracy(model, context.validation, context.labels) == pytest.approx(found["best"], abs=1e-6)
    assert found["best"] > 95 and not found["teacher"]
    assert found["trained_pieces"] < found["pieces"] and 0.3 < found["explained"] <= 1
    assert len(model.predict(["", "zzz", "great " * 90])) == 3 and not model.self_test()
    json.dumps(found, allow_nan=False)


def test_a_teacher_is_followed(bert, tmp_path, make_context, teacher):
    """The teacher is random: only who listens to it agrees with it."""
    answers = []
    for name, known in (("with", teacher), ("without", None)):
        context = make_context(teacher=known)
        step = StaticEmbeddings(**{**SMALL, "epochs": 60, "dropout": 0.0}, label_weight=0.0)
        (tmp_path / name).mkdir()
        model, metrics = serve([step], bert, tmp_path / name, context)
        assert metrics["static"]["teacher"] == (known is not None)
        answers.append(model.logits(context.train.texts).argmax(1))
    wanted = read_teacher(teacher).logits.argmax(1).numpy()
    agreed = [(found == wanted).mean() for found in answers]
    assert agreed[0] > 0.9 and agreed[0] > agreed[1]


def test_unlabelled_texts_are_learned_from_the_teacher_alone(bert, target, make_context):
    more = Examples(["the plot", "a warm scene", "is it?"], [0, 0, 0], [1, 2, 3])
    with_them = make_context(unlabelled=more, teacher_model=bert)
    metrics = StaticEmbeddings(**{**SMALL, "epochs": 1}).apply(bert, target, with_them)
    without = StaticEmbeddings(**{**SMALL, "epochs": 1}).apply(bert, target, make_context(unlabelled=more))
    assert metrics["teacher"] and not without["teacher"]
    assert metrics["trained_pieces"] >= without["trained_pieces"]


def test_texts_with_several_labels(bert, tmp_path, make_context):
    """The first class is a good word, the second a bad one; some texts have both, some none."""
    context = make_context(train=200, validation=80)
    for part in (context.train, context.validation):
        part.texts[::5] = ["good and bad"] * len(part.texts[::5])
        part.texts[1::5] = ["it is a film"] * len(part.texts[1::5])
        part.more["labels"] = [
            [0, 1] if "good and bad" in text else [] if text == "it is a film" else [1 - label]
            for text, label in zip(part.texts, part.labels, strict=True)
        ]
    _, metrics = serve([StaticEmbeddings(**{**SMALL, "epochs": 40})], bert, tmp_path, context)
    assert metrics["static"]["best"] > 90


def test_rows_that_never_occur_keep_the_encoders_vectors(bert, tmp_path, make_context):
    folders = []
    for epochs in (1, 8):
        folder = tmp_path / str(epochs)
        folder.mkdir()
        StaticEmbeddings(**{**SMALL, "epochs": epochs}).apply(bert, folder, make_context())
        folders.append(read_static(folder))
    unseen, seen = (read_tokenizer(bert).token_to_id(piece) for piece in ("##ness", "great"))
    np.testing.assert_array_equal(folders[0].vectors[unseen], folders[1].vectors[unseen])
    assert not np.array_equal(folders[0].vectors[seen], folders[1].vectors[seen])


@pytest.mark.parametrize("ngrams", [0, 64])
def test_the_same_seed_gives_the_same_files(bert, tmp_path, make_context, ngrams):
    contents = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        step = StaticEmbeddings(**{**SMALL, "epochs": 1}, ngrams=ngrams)
        step.apply(bert, tmp_path / name, make_context(seed=seed))
        contents.append((tmp_path / name / FILE).read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_after_a_trimmed_vocabulary_and_before_int8(bert, tmp_path, make_context):
    context = make_context(train=200, validation=80)
    steps = [Vocabulary(), StaticEmbeddings(**SMALL, ngrams=100), Quantise()]
    model, metrics = serve(steps, bert, tmp_path, context)
    assert len(read_static(tmp_path / "2").vectors) == metrics["vocabulary"]["kept"]
    assert accuracy(model, context.validation, context.labels) > 95
    tables = {w.name: w.data_type for w in graph_of(tmp_path / "2").graph.initializer}
    assert tables["vectors"] == tables["ngrams"] == 3  # int8


def test_plain_transformers_reads_the_tokenizer_alone(bert, tmp_path, make_context):
    _, metrics = serve([StaticEmbeddings(**{**SMALL, "epochs": 1})], bert, tmp_path, make_context())
    AutoTokenizer.from_pretrained(tmp_path / "model")
    with pytest.raises(OSError, match="no file named"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    assert "plain transformers" in metrics["static"]["note"]
    assert "plain transformers" in json.loads((tmp_path / "model/lighten.json").read_text())["note"]


def test_texts_of_one_token_and_pairs(bert, tmp_path, make_context):
    """Nothing to pair: the table of pairs stays as it was."""
    tokenizer = json.loads((bert / "tokenizer.json").read_text())
    source = tmp_path / "source"
    source.mkdir()
    for file in bert.iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    (source / "tokenizer.json").write_text(json.dumps({**tokenizer, "post_processor": None}))
    context = make_context()
    for part in (context.train, context.validation):
        part.texts[:] = ["great" if label else "bad" for label in part.labels]
    _, metrics = serve([StaticEmbeddings(**SMALL, ngrams=8)], source, tmp_path, context)
    assert metrics["static"]["best"] == 100 and not read_static(tmp_path / "0").ngrams.any()


def test_bad_input(bert, target, make_context):
    with pytest.raises(InputError, match="step 'static': width 33 is more than the encoder's 32"):
        StaticEmbeddings(width=33).apply(bert, target, make_context())


def test_other_formats_than_int8(bert, tmp_path, make_context):
    (tmp_path / "static").mkdir()
    (tmp_path / "next").mkdir()
    StaticEmbeddings(**{**SMALL, "epochs": 1}).apply(bert, tmp_path / "static", make_context())
    with pytest.raises(InputError, match="a static model knows int8 only, not 'int4-weights'"):
        Quantise(format="int4-weights").apply(tmp_path / "static", tmp_path / "next", make_context())
    with pytest.raises(InputError, match=r"no model\.safetensors; the folder holds .*static\.safetensors"):
        StaticEmbeddings(width=8).apply(tmp_path / "static", tmp_path / "next", make_context())


def test_a_killed_training_ends_as_an_undisturbed_one(bert, tmp_path, make_context):
    class Killed(Exception):
        pass

    steps = 0

    def tick():
        nonlocal steps
        steps += 1
        if steps == 30:
            raise Killed

    step = StaticEmbeddings(**SMALL, ngrams=50)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    step.apply(bert, tmp_path / "whole", make_context(checkpoints=tmp_path / "first"))
    with pytest.raises(Killed):
        step.apply(bert, tmp_path / "killed", make_context(checkpoints=tmp_path / "second", tick=tick))
    assert steps == 30 and not (tmp_path / "killed" / FILE).exists()
    step.apply(bert, tmp_path / "killed", make_context(checkpoints=tmp_path / "second"))
    assert (tmp_path / "whole" / FILE).read_bytes() == (tmp_path / "killed" / FILE).read_bytes()

import json
import random

import numpy as np
import polars as pl
import pytest
from tests.helpers.checkpoints import sentences, write_model

from lighten.data import audit
from lighten.data.audit_errors import FOLDS, confident, folds, label_errors
from lighten.data.audit_features import word_features
from lighten.data.audit_labels import label_facts
from lighten.data.audit_texts import ODD, length_facts, odd_texts
from lighten.data.columns import Columns
from lighten.errors import InputError

GOOD = ["superb", "lovely", "brilliant", "gripping", "charming", "tender", "witty", "radiant", "moving", "fresh"]
BAD = ["awful", "tedious", "clumsy", "hollow", "dreary", "stale", "shallow", "noisy", "lifeless", "botched"]
PLAIN = (
    "the film a story of two people in that house by sea with its long scenes and an old song about love".split()  # noqa: SIM905
)


def reviews(count, seed=0):
    """Texts of 12 words, three of which tell the label."""
    rng = random.Random(seed)
    rows = []
    for index in range(count):
        label = ("bad", "good")[index % 2]
        words = rng.choices(PLAIN, k=9) + rng.sample(GOOD if label == "good" else BAD, 3)
        rng.shuffle(words)
        rows.append((" ".join(words), label))
    return rows


@pytest.fixture
def planted(tmp_path):
    """A file of 400 rows in which one label in 21 is wrong, of both kinds, and the numbers of those rows."""
    rows = reviews(400)
    wrong = set(range(0, 400, 21))
    rows = [
        (text, {"good": "bad", "bad": "good"}[label] if row in wrong else label)
        for row, (text, label) in enumerate(rows)
    ]
    pl.DataFrame(rows, schema=["text", "label"], orient="row").write_csv(tmp_path / "data.csv")
    return tmp_path / "data.csv", {row + 2 for row in wrong}


def test_planted_label_errors_are_found(planted):
    file, wrong = planted
    errors = audit(str(file), label="label")["label_errors"]
    rows = [one["row"] for one in errors["rows"]]
    assert len(wrong & set(rows[:20])) >= 18
    assert len(set(rows) - wrong) <= 6
    assert errors["suspected"] == len(rows) and errors["accuracy"] > 90
    first = errors["rows"][0]
    assert first["suggested"] != first["label"] and first["probability"] > 0.5 > first["given_probability"]
    assert sum(pair["rows"] for pair in errors["pairs"]) == errors["suspected"]


def test_clean_labels_are_not_suspected(tmp_path):
    pl.DataFrame(reviews(300), schema=["text", "label"], orient="row").write_csv(tmp_path / "data.csv")
    assert audit(str(tmp_path / "data.csv"), label="label")["label_errors"]["suspected"] <= 3


def test_the_same_document_again(planted):
    file, _ = planted
    first, second = audit(str(file), label="label"), audit(str(file), label="label")
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    json.dumps(first)


def test_duplicates_conflicts_and_leaks(tmp_path):
    rows = reviews(60, seed=1)
    long = [(text + " " + " ".join(PLAIN[:10]), label) for text, label in rows]
    train = [*long, (long[0][0].upper(), long[0][1]), (long[1][0] + " indeed", long[1][1]), (long[2][0], "other")]
    test = [(long[3][0], long[3][1]), (long[4][0] + " so", long[4][1]), ("quite another text", "unseen")]
    pl.DataFrame(train, schema=["t", "y"], orient="row").write_csv(tmp_path / "train.csv")
    pl.DataFrame(test, schema=["t", "y"], orient="row").write_csv(tmp_path / "test.csv")
    found = audit("train.csv", "t", "y", test="test.csv", base=tmp_path)
    duplicates = found["duplicates"]
    assert duplicates["exact"]["rows"] == 2
    assert [one["rows"] for one in duplicates["exact"]["examples"]] == [[2, 62], [4, 64]]
    assert duplicates["near"]["rows"] == 1
    assert duplicates["near"]["examples"][0]["rows"] == [3, 63]
    assert duplicates["conflicts"]["rows"] == 2
    assert duplicates["conflicts"]["examples"][0]["labels"] == [long[2][1], "other"]
    (leak,) = found["leaks"]["between"]
    assert (leak["parts"], leak["exact"], leak["near"]) == (["train", "test"], 1, 1)
    assert [one["rows"] for one in leak["examples"]] == [[5, 2], [6, 3]]
    assert found["labels"]["unseen"] == {"unseen": 1}
    assert found["labels"]["rare"] == ["other"]
    assert found["label_errors"]["left_out"] == ["other"]
    for words in ("2 duplicates", "1 near-duplicates", "2 also in another part", "63 rows, 3 labels"):
        assert words in found["sentence"]


def test_texts_without_labels(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "one text"}\n{"text": "another text"}\n{"text": ""}\n')
    found = audit(str(tmp_path / "a.jsonl"))
    assert found["labels"] is None and found["label_errors"] is None
    assert found["parts"]["train"] == {"rows": 3, "usable": 2, "empty_text": 1, "missing_label": 0}
    assert found["sentence"] == "3 rows; nothing suspicious was found"


def test_with_a_model_lengths_are_tokens_and_features_embeddings(tmp_path):
    write_model(tmp_path / "model")
    texts, labels = sentences(300)
    texts[0] = "film " * 60
    pl.DataFrame({"text": texts, "label": labels}).write_csv(tmp_path / "a.csv")
    found = audit("a.csv", label="label", model="model", base=tmp_path)
    lengths = found["lengths"]
    assert (lengths["unit"], lengths["limit"]) == ("tokens", 48)
    assert lengths["parts"]["train"]["over_limit"] == 1
    assert lengths["parts"]["train"]["max"] == 62
    assert found["label_errors"]["features"] == "embeddings of model"
    assert found["label_errors"]["accuracy"] > 60


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("text,label\na,b\n", {"text": "texts"}, "did you mean 'text'"),
        ("text,label\na,b\n", {"label": "labels"}, "did you mean 'label'"),
        ("text,label\na,b\n", {"label": "text"}, "text column already"),
        ("", {}, "empty"),
        ("text,label\n", {}, "no rows"),
        ("text,label\n ,b\n", {}, "no row has a text"),
        ("text,label\na,\n", {"label": "label"}, "and a label"),
        ("text,label\na,b\n", {"test": "none.csv"}, "none.csv"),
        ("text,label\na,b\n", {"model": "none"}, "none"),
    ],
)
def test_wrong_inputs(tmp_path, content, options, words):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError, match=words):
        audit("a.csv", base=tmp_path, **options)


@pytest.mark.parametrize("labels", [["a"], ["a", "b"], ["a"] * 8, ["a"] * 8 + ["b"]])
def test_too_few_rows_for_label_errors(labels):
    table = pl.DataFrame({"t": [f"text number {i}" for i in range(len(labels))], "y": labels})
    found = label_errors(table, Columns("t", "y"), word_features(table["t"].to_list()), list(range(len(labels))), 0)
    assert found["suspected"] == 0 and found["accuracy"] is None


def test_confident_learning_by_hand():
    # Means of the own label: 0.7 for 0, 0.6 for 1. Sure are all rows but the last: two of 0 that are 0, one of 0 that
    # is 1, one of 1 that is 1; scaled to all rows one label 0 is wrong, and none of 1.
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7], [0.5, 0.5]])
    suspects, suggested = confident(probabilities, np.array([0, 0, 0, 1, 1]))
    assert suggested.tolist() == [1, 1, 1, 0, 0]
    assert suspects.tolist() == [2]


def test_confident_learning_takes_as_many_as_the_joint_says():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 3000)
    given = np.where(rng.random(3000) < 0.1, (true + 1) % 3, true)
    scores = rng.normal(size=(3000, 3))
    scores[np.arange(3000), true] += 4
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    suspects, suggested = confident(probabilities, given)
    wrong = np.flatnonzero(given != true)
    assert abs(len(suspects) - len(wrong)) < 0.15 * len(wrong)
    assert len(set(suspects.tolist()) & set(wrong.tolist())) > 0.85 * len(wrong)
    assert (suggested[wrong] == true[wrong]).mean() > 0.9


def test_folds_keep_groups_whole_and_labels_even():
    rng = random.Random(0)
    labels = np.array([rng.randrange(3) for _ in range(300)])
    groups = [row if row % 10 else 0 for row in range(300)]
    texts = [f"text {row}" for row in range(300)]
    fold = folds(labels, groups, texts, 0)
    assert len({fold[row] for row in range(0, 300, 10)}) == 1
    assert set(fold.tolist()) == set(range(FOLDS))
    for label in range(3):
        rows = [row for row in range(300) if row % 10 and labels[row] == label]
        counts = np.bincount(fold[rows], minlength=FOLDS)
        assert counts.max() - counts.min() <= 2
    order = rng.sample(range(300), 300)
    alone = folds(labels, list(range(300)), texts, 0)
    mixed = folds(labels[order], list(range(300)), [texts[row] for row in order], 0)
    assert mixed.tolist() == alone[order].tolist()


def test_label_facts():
    tables = {"train": pl.DataFrame({"y": ["a"] * 6 + ["b"] * 6 + ["c"] * 3}), "test": pl.DataFrame({"y": ["a", "d"]})}
    facts = label_facts(tables, "y")
    assert list(facts["counts"]["train"].items()) == [("a", 6), ("b", 6), ("c", 3)]
    assert (facts["majority_share"], facts["imbalance"], facts["unseen"]) == (0.4, 2.0, {"d": 1})
    assert 2.8 < facts["effective"] < 3


def test_lengths_add_up():
    texts = ["a b c"] * 5 + ["a"] + ["word " * 500]
    facts = length_facts({"train": texts})["parts"]["train"]
    assert sum(count for _, _, count in facts["histogram"]) == 7
    assert facts["histogram"][-1][1] >= facts["max"] == 500
    assert all(low <= high for low, high, _ in facts["histogram"])
    assert (facts["min"], facts["median"], facts["over_limit"]) == (1, 3.0, None)


ODDITIES = {
    "no_letters": "?!? 123",
    "broken_encoding": "the cafÃ© was nice and warm",
    "control_characters": "some text \x07 with a bell",
    "markup": "some text<br /> with a break",
    "entities": "this &amp; that and more",
    "only_a_link": "https://example.org/page",
    "repeated_character": "so gooooooooooooood it hurts",
    "no_small_letters": "THIS IS ALL CAPITAL LETTERS HERE",
    "short": "fine",
}


@pytest.mark.parametrize("kind", ODDITIES)
def test_odd_texts(kind):
    table = pl.DataFrame({"t": ["an ordinary text, nothing odd: 3 < 4", ODDITIES[kind], "É uma boa ideia & pronto"]})
    kinds = {one["kind"]: one for one in odd_texts({"train": table}, Columns("t"))}
    assert kind in kinds
    assert kinds[kind]["rows"] == 1
    assert kinds[kind]["examples"] == [{"part": "train", "row": 2, "text": ODDITIES[kind]}]
    assert set(ODDITIES) == {*ODD, "short"}


def test_a_short_chinese_text_is_not_called_short():
    assert odd_texts({"train": pl.DataFrame({"t": ["这部电影很好看"]})}, Columns("t")) == []

import json

import polars as pl
import pytest

from lighten.data import check, fingerprint, prepare
from lighten.data.deduplicate import keys
from lighten.errors import InputError
from lighten.pipeline import read_examples, read_texts
from lighten.recipe import Data


@pytest.fixture
def reviews(tmp_path):
    """120 reviews of 24 films with an empty text, a missing label, duplicates, a conflict, plots and noise."""
    rows = [(f"review number {i} of a film", "fresh" if i % 3 else "rotten", f"film {i % 24}") for i in range(120)]
    rows += [("", "fresh", "film 1"), (None, "rotten", "film 1"), ("no label", None, "film 1"), ("  ", "fresh", "f")]
    rows += [("Review  number 1 of a FILM", "fresh", "film 2"), ("torn", "fresh", "f"), ("torn", "rotten", "f")]
    rows += [("the plot", "plot", "film 3"), ("Harry &amp; Tonto", "fresh", "film 4"), ("<br>", "rotten", "film 4")]
    table = pl.DataFrame(rows, schema=["text", "category", "film"], orient="row")
    table.write_csv(tmp_path / "reviews.csv")
    return table


FILTER = {"filter": {"column": "category", "drop": ["plot"]}}


def data(**changes):
    fields = {"train": "reviews.csv", "text": "text", "label": "category", "prepare": [FILTER, "clean", "deduplicate"]}
    return Data(**{**fields, **changes})


def test_the_whole_way(tmp_path, reviews):
    report = prepare(data(), 0, tmp_path / "out", tmp_path)
    parts = {name: read_examples(tmp_path / "out" / f"{name}.jsonl") for name in ("train", "validation", "test")}
    assert json.loads((tmp_path / "out" / "labels.json").read_text()) == report["labels"] == ["fresh", "rotten"]
    assert sum(len(part) for part in parts.values()) == 121
    assert report["dropped"] == {
        "filtered": 1,
        "empty_text": 4,
        "missing_label": 1,
        "duplicate": 1,
        "conflict": 2,
    }
    assert report["rows_read"] == {"train": reviews.height}
    assert sum(report["dropped"].values()) + 121 == reviews.height
    assert len(parts["test"]) == report["splits"]["test"]["rows"] == pytest.approx(18, abs=1)
    for name, part in parts.items():
        by_label = [part.labels.count(index) for index in (0, 1)]
        assert list(report["splits"][name]["by_label"].values()) == by_label
        assert by_label[1] / sum(by_label) == pytest.approx(1 / 3, abs=0.1)
        for text, label, row in zip(part.texts, part.labels, part.rows, strict=True):
            original, category, _ = reviews.row(row - 2)
            assert report["labels"][label] == category
            assert text == original.replace("&amp;", "&")
    assert [step["name"] for step in report["steps"]] == ["filter", "usable", "clean", "deduplicate"]
    clean = report["steps"][2]
    assert clean["counts"]["entities"] == 1 and clean["examples"][0]["after"] == "Harry & Tonto"
    assert json.loads(json.dumps(report)) == report


def test_the_same_seed_gives_the_same_files_whatever_the_order(tmp_path, reviews):
    def texts(folder):
        return {
            name: sorted(read_texts(tmp_path / folder / f"{name}.jsonl")) for name in ("train", "validation", "test")
        }

    prepare(data(), 0, tmp_path / "a", tmp_path)
    prepare(data(), 0, tmp_path / "b", tmp_path)
    for name in ("train", "validation", "test"):
        assert (tmp_path / "a" / f"{name}.jsonl").read_bytes() == (tmp_path / "b" / f"{name}.jsonl").read_bytes()
    prepare(data(), 1, tmp_path / "c", tmp_path)
    assert texts("a") != texts("c")
    plain = reviews.head(120)
    plain.write_csv(tmp_path / "reviews.csv")
    prepare(data(prepare="auto"), 0, tmp_path / "d", tmp_path)
    plain.reverse().write_csv(tmp_path / "reviews.csv")
    prepare(data(prepare="auto"), 0, tmp_path / "e", tmp_path)
    assert texts("d") == texts("e")


def test_a_group_never_crosses_the_splits(tmp_path, reviews):
    report = prepare(data(group="film"), 0, tmp_path / "out", tmp_path)
    films = {}
    for name in ("train", "validation", "test"):
        rows = read_examples(tmp_path / "out" / f"{name}.jsonl").rows
        films[name] = {reviews["film"][row - 2] for row in rows}
        assert report["splits"][name]["groups"] == len(films[name])
    assert not films["train"] & films["test"]
    assert not films["train"] & films["validation"]
    assert not films["validation"] & films["test"]


def test_given_parts_are_respected_and_leaks_leave_training(tmp_path, reviews):
    test = [("review number 5 of a film", "fresh"), ("REVIEW number  7 of a film", "fresh"), ("new", "rotten")]
    test += [("new", "rotten"), ("", "fresh"), ("a  plot", "plot")]
    pl.DataFrame(test, schema=["text", "category"], orient="row").write_csv(tmp_path / "test.csv")
    validation = [("review number 8 of a film", "fresh"), ("new", "rotten"), ("other", "rotten")]
    pl.DataFrame(validation, schema=["text", "category"], orient="row").write_csv(tmp_path / "validation.csv")
    report = prepare(data(test="test.csv", validation="validation.csv"), 0, tmp_path / "out", tmp_path)
    train, kept_validation, kept = (
        read_examples(tmp_path / "out" / f"{n}.jsonl") for n in ("train", "validation", "test")
    )
    assert kept.texts == ["review number 5 of a film", "REVIEW number 7 of a film", "new", "new"]
    assert kept.rows == [2, 3, 4, 5]
    assert len(kept_validation) == 3
    assert report["leaks"] == {"leak_test": 2, "leak_validation": 1, "validation_in_test": 1}
    held_out = set(keys(pl.Series(kept.texts + kept_validation.texts)))
    assert not held_out & set(keys(pl.Series(train.texts)))
    assert len(train) == 121 - 3


def test_groups_of_a_given_test_leave_training(tmp_path, reviews):
    reviews.filter(pl.col("film").is_in(["film 5", "film 6"])).write_csv(tmp_path / "test.csv")
    report = prepare(data(test="test.csv", group="film"), 0, tmp_path / "out", tmp_path)
    rows = read_examples(tmp_path / "out" / "train.jsonl").rows
    assert not {"film 5", "film 6"} & {reviews["film"][row - 2] for row in rows}
    assert report["leaks"]["leak_test"] == 10


def test_without_deduplication_equal_texts_do_not_leak(tmp_path):
    rows = [(f"text {i % 20}", "x" if i % 2 else "y") for i in range(200)]
    pl.DataFrame(rows, schema=["text", "category"], orient="row").write_csv(tmp_path / "reviews.csv")
    report = prepare(data(prepare=["clean"]), 0, tmp_path / "out", tmp_path)
    texts = {name: set(read_texts(tmp_path / "out" / f"{name}.jsonl")) for name in ("train", "validation", "test")}
    assert not texts["train"] & texts["test"]
    assert not texts["train"] & texts["validation"]
    assert not texts["validation"] & texts["test"]
    assert sum(report["leaks"].values()) == report["dropped"]["leak_test"] + report["dropped"]["leak_validation"]
    assert sum(split["rows"] for split in report["splits"].values()) + sum(report["leaks"].values()) == 200


def test_unlabelled_text(tmp_path, reviews):
    more = ["review number 5 of a film", "quite new", "Quite  new", "", "R&amp;B"]
    (tmp_path / "more.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in more))
    report = prepare(data(unlabelled="more.jsonl"), 0, tmp_path / "out", tmp_path)
    assert read_texts(tmp_path / "out" / "unlabelled.jsonl") == ["quite new", "R&B"]
    assert report["splits"]["unlabelled"] == {"rows": 2}
    assert report["leaks"] == {"unlabelled_in_parts": 1}


def test_labels_that_are_not_text_and_line_separators_in_text(tmp_path):
    rows = [{"text": f"line {i}\u2028\u0085 x", "category": i % 2 == 0} for i in range(40)]
    (tmp_path / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = prepare(data(train="reviews.jsonl", prepare=[]), 0, tmp_path / "out", tmp_path)
    assert report["labels"] == ["false", "true"]
    train = read_examples(tmp_path / "out" / "train.jsonl")
    assert all(text == f"line {row - 1}\u2028\u0085 x" for text, row in zip(train.texts, train.rows, strict=True))


@pytest.mark.parametrize(
    ("changes", "content", "message"),
    [
        (
            {"text": "txt"},
            None,
            "reviews.csv: there is no column 'txt' (data.text); columns are text, category, film; did",
        ),
        ({"label": "x"}, None, "there is no column 'x' (data.label)"),
        (
            {"group": "films"},
            None,
            "no column 'films' (data.group); columns are text, category, film; did you mean 'film'?",
        ),
        ({"label": "text"}, None, "data.label: 'text' is the text column already"),
        ({"group": "text"}, None, "data.group: 'text' is the text column already"),
        ({"group": "category"}, None, "data.group: 'category' is the label column already"),
        ({"labels": ["fresh", "fresh"]}, None, "data.labels: expected two or more different labels"),
        (
            {"labels": ["fresh", "roten"]},
            None,
            "reviews.csv, row 2: label 'rotten' is not one of fresh, roten; did you",
        ),
        (
            {"prepare": ["clen"]},
            None,
            "data.prepare[0]: 'clen' is no step; known are ",
        ),
        ({"prepare": [{"clean": {"htm": 1}}]}, None, "'htm' is no field"),
        ({"train": "revews.csv"}, None, "did you mean 'reviews.csv'?"),
        ({}, "text,category\na,x\nb,y\n,plot\n", "label 'x' has 1 usable training rows; at least 3 are needed"),
        ({}, "text,category\n,x\n ,plot\n", "column 'text' is empty in every row"),
        ({}, "text,category\na,\nb,plot\n", "no row has both a text ('text') and a label ('category')"),
        (
            {},
            "text,category\na,x\nb,x\nc,plot\n",
            "a classifier needs two labels or more; every row has the label 'x'",
        ),
        ({}, "text,category\na,plot\n", "no rows are left after the step 'filter'"),
        ({"prepare": "auto"}, "text,category\na,x\na,y\n", "no rows are left after the step 'deduplicate'"),
        ({}, "text,category\na,x,\n", "reviews.csv, row 2: expected 2 fields as in the header, found 3"),
    ],
)
def test_bad_input(tmp_path, reviews, changes, content, message):
    if content is not None:
        (tmp_path / "reviews.csv").write_text(content)
    with pytest.raises(InputError) as failure:
        prepare(data(**changes), 0, tmp_path / "out", tmp_path)
    assert message in str(failure.value)
    assert failure.value.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_a_test_label_that_training_never_sees(tmp_path, reviews):
    (tmp_path / "test.csv").write_text("text,category\na,fresh\nb,fresj\n")
    with pytest.raises(
        InputError, match=r"test.csv, row 3: label 'fresj' is not one of fresh, rotten; did you mean 'fresh'\?"
    ):
        prepare(data(test="test.csv"), 0, tmp_path / "out", tmp_path)


def test_a_test_that_takes_all_of_training(tmp_path, reviews):
    reviews.write_csv(tmp_path / "test.csv")
    with pytest.raises(InputError, match="usable training rows"):
        prepare(data(test="test.csv"), 0, tmp_path / "out", tmp_path)


def test_check_and_fingerprint(tmp_path, reviews):
    assert [step.name for step in check(data(prepare="auto"))] == ["clean", "deduplicate"]
    with pytest.raises(InputError, match=r"data.label"):
        check(data(label=None))
    first = fingerprint(data(test="reviews.csv"), tmp_path)
    assert len(first) == 2 and first[0] == first[1]
    (tmp_path / "reviews.csv").write_text("other")
    assert fingerprint(data(), tmp_path) != first[:1]

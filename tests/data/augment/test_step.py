import json
import subprocess
import sys

import polars as pl
import pytest

from lighten.data import Columns, check, fingerprint, prepare, prepare_texts
from lighten.data.augment.step import Augment
from lighten.data.columns import ROW
from lighten.data.deduplicate import keys
from lighten.errors import InputError
from lighten.pipeline import read_examples, read_texts
from lighten.recipe import Data

SUBJECTS = ["film", "play", "book", "song", "opera", "novel", "show", "story"]


def table(rows=160):
    return pl.DataFrame(
        {
            "text": [
                f"the {SUBJECTS[i % 8]} about {chr(97 + i // 8) * 3} was {('dull', 'warm')[i % 2]}"
                for i in range(rows)
            ],
            "label": [("rotten", "fresh")[i % 2] for i in range(rows)],
            "author": [f"author {i % 20}" for i in range(rows)],
        }
    )


@pytest.fixture
def reviews(tmp_path):
    table().write_csv(tmp_path / "reviews.csv")
    return tmp_path


def data(*steps, **changes):
    return Data(**{"train": "reviews.csv", "text": "text", "label": "label", "prepare": list(steps), **changes})


def test_originals_come_first_and_copies_carry_every_other_column():
    given = table(10).with_row_index(ROW, 2)
    made, note = Augment(copies=3).apply(given, Columns("text", "label", "author", seed=5))
    assert made.head(10).equals(given) and made.height == 40
    copies = made.tail(30)
    for index in range(30):
        assert copies.row(index)[0] == given.row(index // 3)[0] and copies.row(index)[2:] == given.row(index // 3)[2:]
    assert note["rows_in"] - sum(note["dropped"].values()) + note["added"] == note["rows_out"] == 40
    (tally,) = note["methods"].values()
    assert (
        note["changed"]
        == 30 - tally["unchanged"]
        == sum(new != given["text"][index // 3] for index, new in enumerate(copies["text"]))
    )
    assert len(note["examples"]) == 5 and note["examples"][0].keys() == {"method", "row", "before", "after"}
    assert json.loads(json.dumps(note)) == note


@pytest.mark.parametrize("part", ["validation", "test", "unlabelled"])
def test_other_parts_are_left_alone(part):
    given = table(10)
    made, note = Augment().apply(given, Columns("text", part=part))
    assert made.equals(given) and note["added"] == 0


def test_the_seed_of_the_recipe_counts():
    first, again, other = (Augment().apply(table(10), Columns("text", seed=seed))[0] for seed in (0, 0, 1))
    assert first.equals(again) and not first.equals(other)


@pytest.mark.parametrize("group", [None, "author"])
def test_in_a_preparation_only_training_rows_are_augmented(reviews, group):
    augment = {"augment": {"methods": ["swap", {"mask": {"token": "[MASK]"}}], "copies": 2}}
    plain = prepare(data("clean", group=group), 0, reviews / "plain", reviews)
    report = prepare(data("clean", augment, group=group), 0, reviews / "more", reviews)
    for part in ("validation", "test"):
        name = f"{part}.jsonl"
        assert (reviews / "plain" / name).read_bytes() == (reviews / "more" / name).read_bytes()
    before, after = (read_examples(reviews / folder / "train.jsonl") for folder in ("plain", "more"))
    count = len(before)
    assert report["splits"]["train"]["rows"] == len(after) == 3 * count
    assert after.texts[:count] == before.texts and after.labels[:count] == before.labels
    assert after.labels[count:] == [label for label in before.labels for _ in range(2)]
    assert after.rows[count:] == [row for row in before.rows for _ in range(2)]
    if group:
        assert after.groups[count:] == [name for name in before.groups for _ in range(2)]
        others = {
            g for part in ("validation", "test") for g in read_examples(reviews / "more" / f"{part}.jsonl").groups
        }
        assert not others & set(after.groups)
    note = report["steps"][-1]
    assert note["name"] == "augment" and note["part"] == "train" and note["added"] == 2 * count
    assert report["rows_read"] == plain["rows_read"]


def test_a_copy_that_is_a_held_out_text_is_dropped_and_counted(reviews):
    pairs = [(f"{a} {b}", ("fresh", "rotten")[a > b]) for a in SUBJECTS for b in SUBJECTS if a != b]
    pl.DataFrame(pairs, schema=["text", "label"], orient="row").write_csv(reviews / "reviews.csv")
    augment = {"augment": {"methods": "swap", "max_share": 1.0, "copies": 1}}
    report = prepare(data(augment), 0, reviews / "out", reviews)
    held_out = {key for part in ("validation", "test") for key in keys(read_texts(reviews / "out" / f"{part}.jsonl"))}
    assert not held_out & set(keys(read_texts(reviews / "out" / "train.jsonl")))
    note = report["steps"][-1]
    assert note["dropped"].keys() == {"in_test", "in_validation"}
    assert note["rows_in"] - sum(note["dropped"].values()) + note["added"] == note["rows_out"]
    assert report["dropped"]["in_test"] == note["dropped"]["in_test"] > 0
    assert sum(s["rows"] for s in report["splits"].values()) == 56 + note["added"] - sum(report["dropped"].values())


def test_the_control_adds_as_many_plain_copies(reviews):
    made, control = (
        prepare(data({"augment": {"copies": 3, "control": flag}}), 0, reviews / str(flag), reviews)
        for flag in (False, True)
    )
    assert made["splits"] == control["splits"]
    assert control["steps"][-1]["changed"] == 0 and control["steps"][-1]["control"] is True
    texts = read_texts(reviews / "True" / "train.jsonl")
    assert all(texts.count(text) == 4 for text in set(texts))


def test_texts_without_one_label_are_augmented_too(reviews):
    report = prepare_texts(
        data({"augment": {"copies": 1}}, label=None), 0, reviews / "out", reviews, columns={"summary": "author"}
    )
    train = read_examples(reviews / "out" / "train.jsonl")
    half = len(train) // 2
    assert report["splits"]["train"]["rows"] == len(train) and report["steps"][-1]["added"] == half
    assert train.more["summary"][half:] == train.more["summary"][:half]


def test_other_steps_stand_before_it(reviews):
    with pytest.raises(InputError, match=r"prepare\[1\]: 'augment' works .* 'clean' must stand before it"):
        check(data("augment", "clean"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"augment": {"methods": ["delet"]}}, "did you mean 'delete'"),
        ({"augment": {"methods": [{"mask": {"tokne": "x"}}]}}, "did you mean 'token'"),
        ({"augment": {"methods": []}}, "at least 1 item"),
        ({"augment": {"copies": 0}}, "greater than or equal to 1"),
        ({"augment": {"methods": "translate"}}, "in Python only"),
        ({"augment": {"methods": "synonyms"}}, "wordnet-base"),
    ],
)
def test_mistakes_are_named(reviews, spec, message):
    with pytest.raises(InputError, match=message):
        prepare(data(spec), 0, reviews / "out", reviews)


def test_what_a_method_reads_is_part_of_the_fingerprint(reviews):
    spec = {"augment": {"methods": "synonyms", "wordnet": "table.json"}}
    (reviews / "table.json").write_text('{"film": ["movie"]}')
    first = fingerprint(data(spec), reviews)
    report = prepare(data(spec), 0, reviews / "out", reviews)
    assert report["steps"][-1]["counts"]["synonyms"] > 0
    (reviews / "table.json").write_text('{"film": ["picture"]}')
    assert fingerprint(data(spec), reviews)[0] == first[0] and fingerprint(data(spec), reviews) != first


def test_the_short_form_and_a_single_method():
    (step,) = check(data("augment=delete"))
    assert isinstance(step, Augment) and step.methods == ("delete",)


def test_the_outcome_does_not_depend_on_the_hash_seed():
    code = """
from lighten.data import augment_texts
texts = [f"the {w} was not so {v} at all, they said. But then?" for w in ("film", "play") for v in ("dull", "warm")]
methods = ["delete", "swap", "insert", "keyboard", {"ngrams": {}}]
methods.append({"templates": {"slots": {"x": ["dull", "warm", "odd"]}}})
print(augment_texts(texts, methods, 12))
"""
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1] and len(said[0]) > 1000

"""Methods that write whole texts: templates, n-gram models, the user's translator."""

import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lighten.data import Columns, augment_texts
from lighten.data.augment.draws import Stream
from lighten.data.augment.ngrams import NgramModel, pieces
from lighten.data.augment.step import Augment
from lighten.errors import InputError

PATTERNS = {"travel": ["fly me to {city} with {line}", "{city}!"], "food": ["{dish} please"]}
SLOTS = {"city": ["Oslo", "New York"], "line": ["Fair Air"], "dish": ["rice", "soup"]}


def test_patterns_of_the_label_are_filled():
    made = augment_texts(
        ["go", "eat"], {"templates": {"patterns": PATTERNS, "slots": SLOTS}}, 40, labels=["travel", "food"]
    )
    travel = {f"fly me to {city} with Fair Air" for city in SLOTS["city"]} | {"Oslo!", "New York!"}
    assert set(made.texts[0]) == travel
    assert set(made.texts[1]) == {"rice please", "soup please"}


def test_values_are_exchanged_where_there_is_no_pattern():
    method = {"templates": {"slots": SLOTS}}
    made = augment_texts(["from Oslo,  to New York by Osloer ways, 7 or so days"], method, 20).texts[0]
    assert set(made) == {"from New York,  to Oslo by Osloer ways, 7 or so days"}
    assert augment_texts(["Oslo"], method, 2).texts == [["Oslo", "Oslo"]]  # one word of one: beyond the bounds


def test_values_may_come_from_a_column():
    table = pl.DataFrame({"text": ["the Matrix is long today", "I saw it"], "film": ["Matrix", "Alien"]})
    step = Augment(methods=({"templates": {"slots": {"film": "film"}}},), copies=1)
    made, _ = step.apply(table, Columns("text"))
    assert made["text"].to_list()[2:] == ["the Alien is long today", "I saw it"]
    wrong = Augment(methods=({"templates": {"slots": {"film": "flim"}}},))
    with pytest.raises(InputError, match=r"no column 'flim'.*did you mean 'film'"):
        wrong.apply(table, Columns("text"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"patterns": {"travel": ["to {citty}"]}, "slots": SLOTS}, "did you mean 'city'"),
        ({"patterns": {"travle": ["to {city}"]}, "slots": SLOTS}, "did you mean 'travel'"),
        ({"slots": {"city": []}}, "no values"),
        ({"patterns": {}}, "slots"),
    ],
)
def test_bad_templates_are_named(fields, message):
    with pytest.raises(InputError, match=message):
        augment_texts(["go", "eat"], {"templates": fields}, labels=["travel", "food"])


TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "好", "d,", "e\n"]), min_size=1, max_size=8).map(" ".join), min_size=1
)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.integers(2, 3))
def test_only_seen_ngrams_are_written(texts, order):
    def grams(text):
        row = ["" for _ in range(order - 1)] + pieces(text)
        return {tuple(row[i : i + order]) for i in range(len(row) - order + 1)}

    seen = set().union(*(grams(text) for text in texts))
    for row in augment_texts(texts, {"ngrams": {"order": order}}, 3).texts:
        for new in row:
            assert new.strip() and grams(new) <= seen


def test_labels_do_not_mix_and_frequency_counts():
    texts = ["good film"] * 9 + ["good book"] + ["bad play"] * 10
    labels = ["fresh"] * 10 + ["rotten"] * 10
    made = augment_texts([*texts, "so good a day"], {"ngrams": {"order": 2}}, 60, labels=[*labels, "fresh"])
    assert {new for row in made.texts[10:20] for new in row} == {"bad play"}
    written = made.texts[20]
    assert written.count("good film") > written.count("good book") > 0
    assert not any("bad" in new or "play" in new for new in written)


def test_the_order_of_texts_does_not_matter():
    texts = [f"{a} {b} {c}" for a in "ab" for b in "cd" for c in "ef"]
    written = [NgramModel(order, 2).write(Stream(3).draw, 9) for order in (texts, texts[::-1])]
    assert written[0] == written[1]


def test_the_users_translator():
    asked = []

    def there_and_back(texts):
        asked.append(list(texts))
        return [text.upper() if text != "hush" else "" for text in texts]

    made = augment_texts(["b", "a", "b", "hush"], "translate", 2, translate=there_and_back)
    assert made.texts == [["B", "B"], ["A", "A"], ["B", "B"], ["hush", "hush"]]  # an empty answer teaches nothing
    assert asked == [["a", "b", "hush"]]
    assert made.report["translate"]["unchanged"] == 2


def test_a_command_as_translator():
    code = "import sys, json\nfor line in sys.stdin: print(json.dumps(json.loads(line)[::-1]))"
    made = augment_texts(["ab\nc", "好 x"], "translate", 1, translate=[sys.executable, "-c", code])
    assert made.texts == [["c\nba"], ["x 好"]]
    for bad, message in (("print('{')", "one JSON text per line"), ("import sys; sys.exit('no key')", "no key")):
        with pytest.raises(InputError, match=message):
            augment_texts(["a"], "translate", translate=[sys.executable, "-c", bad])
    with pytest.raises(InputError, match="cannot be run"):
        augment_texts(["a"], "translate", translate=["no-such-program-here"])


def test_a_translator_that_loses_texts_is_refused():
    with pytest.raises(InputError, match="2 texts and must return as many; got 1 items"):
        augment_texts(["a", "b"], "translate", translate=lambda texts: texts[:1])
    with pytest.raises(InputError, match="in Python only"):
        augment_texts(["a"], "translate")

"""What every method keeps to, whatever it does."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lighten.data import augment_texts
from lighten.data.augment.draws import Stream, choose, first_draws, keys
from lighten.data.augment.method import Bounds
from lighten.data.augment.noise import NEIGHBOURS
from lighten.data.augment.words import is_negation, words

REPLACING = ["mask", "characters", "keyboard"]
MOVING = ["swap", "rotate"]
INSERTING = ["insert", "punctuation"]
EDITING = [*REPLACING, *MOVING, *INSERTING, "delete"]
ALL = [*EDITING, "shuffle_sentences", {"ngrams": {"order": 2}}, {"templates": {"slots": {"x": ["film", "book"]}}}]

PIECES = [
    "the",
    "Film",
    "was",
    "not",
    "never",
    "wonderful",
    "isn't",
    "good,",
    "bad!",
    "http://a.b/c?d=1",
    "10:30",
    "3.14",
    "2024年",
]
PIECES += ["\n", "  ", " ", "really?", "(warm)", "不好", "电影。", "me@x.org", "well-made", "terrible"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join)
KEPT = re.compile(r"http://[\w./?=]+|2024年|10:30|3\.14|me@x\.org")


def outer(text):
    """Return what is between the words."""
    parts, last = [], 0
    for start, end in words(text):
        parts.append(text[last:start])
        last = end
    return [*parts, text[last:]]


def inner(text):
    return [text[start:end] for start, end in words(text)]


def variants(text, method, **options):
    return augment_texts([text], method, 3, **options).texts[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, max_size=5), st.sampled_from(ALL), st.integers(1, 5), st.integers(0, 3))
def test_exactly_so_many_outputs_and_all_are_counted(texts, method, copies, seed):
    made, report = augment_texts(texts, method, copies, seed=seed)
    assert [len(row) for row in made] == [copies] * len(texts)
    (tally,) = report.values()
    assert tally["outputs"] == copies * len(texts)
    assert tally["unchanged"] == sum(new == text for text, row in zip(texts, made, strict=True) for new in row)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from(REPLACING), st.floats(0.05, 1), st.floats(0.05, 1))
def test_replacing_keeps_spacing_and_bounds(text, method, rate, share):
    for new in variants(text, method if method != "mask" else {"mask": {"token": "XX"}}, rate=rate, max_share=share):
        if method == "mask" and re.search("[不好电影]", text):  # the tokens of two Chinese characters are one word
            continue
        assert outer(new) == outer(text)
        changed = sum(a != b for a, b in zip(inner(text), inner(new), strict=True))
        assert changed <= share * len(words(text)) + 1e-6


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from(MOVING), st.floats(0.05, 1), st.floats(0.05, 1))
def test_moving_keeps_the_words_the_spacing_and_bounds(text, method, rate, share):
    for new in variants(text, method, rate=rate, max_share=share):
        assert outer(new) == outer(text) and Counter(inner(new)) == Counter(inner(text))
        changed = sum(a != b for a, b in zip(inner(text), inner(new), strict=True))
        assert changed <= share * len(words(text)) + 1e-6


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.floats(0.05, 1), st.floats(0.05, 1))
def test_deleting_keeps_bounds_and_some_word(text, rate, share):
    for new in variants(text, "delete", rate=rate, max_share=share):
        gone = len(words(text)) - len(words(new))
        assert 0 <= gone <= share * len(words(text)) + 1e-6
        assert bool(words(new)) == bool(words(text))
        rest = iter(text)
        assert all(character in rest for character in new)  # a subsequence: nothing is put in, nothing moved
        assert new.count("\n") >= text.count("\n") - gone


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from(INSERTING), st.floats(0.05, 1), st.floats(0.05, 1))
def test_inserting_keeps_the_text_and_bounds(text, method, rate, share):
    for new in variants(text, method, rate=rate, max_share=share):
        rest = iter(new)
        assert all(character in rest for character in text)
        if method == "insert":
            assert len(words(new)) - len(words(text)) <= share * len(words(text)) + 1e-6


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.sampled_from(EDITING))
def test_addresses_numbers_and_negations_stay(text, method):
    for new in variants(text, method, rate=0.5, max_share=1.0):
        assert KEPT.findall(new) == KEPT.findall(text)
        negations = [word for word in inner(text) if is_negation(word)]
        assert [word for word in inner(new) if is_negation(word)] == negations


def test_negations_may_be_edited_when_asked():
    made = augment_texts(["not good"], "delete", 20, max_share=1.0, negations="edit").texts[0]
    assert set(made) == {"good", "not"}
    assert set(augment_texts(["not good"], "delete", 20, max_share=1.0).texts[0]) == {"not"}


def test_every_method_does_something():
    text = "The wonderful film was long and warm. Everybody laughed about the terrible ending! Then they went home."
    for method in [*EDITING, "shuffle_sentences"]:
        made = augment_texts([text], method, 8)
        assert len(set(made.texts[0])) > 2 and text not in made.texts[0]


def test_the_outcome_depends_on_text_and_seed_alone():
    texts = [f"the {word} film was number {i} of a long evening" for i, word in enumerate(["warm", "dull", "odd"] * 4)]
    for method in [*EDITING, ["delete", "swap", "mask"]]:
        whole = augment_texts(texts, method, 3).texts
        assert augment_texts(texts[::-1], method, 3).texts[::-1] == whole
        assert [augment_texts([text], method, 3).texts[0] for text in texts] == whole
        assert augment_texts(texts, method, 3, seed=1).texts != whole
        assert [row[:2] for row in whole] == augment_texts(texts, method, 2).texts


def test_methods_take_turns():
    texts = [f"the film number {'abcdefghij'[i % 10] * (i // 10 + 1)} was good enough" for i in range(100)]
    report = augment_texts(texts, ["delete", "swap", "mask"], 1).report
    assert sum(tally["outputs"] for tally in report.values()) == 100
    assert all(tally["outputs"] > 15 and len(tally["examples"]) == 5 for tally in report.values())


def test_control_makes_plain_copies():
    made, report = augment_texts(["one text", "two"], "delete", 3, control=True)
    assert made == [["one text"] * 3, ["two"] * 3]
    assert report["copy"]["outputs"] == report["copy"]["unchanged"] == 6


def test_shuffled_sentences_keep_what_is_between_them():
    text = "One is here.  Two, approx. two!\n\nThree? (Four.) "
    made = set(augment_texts([text], "shuffle_sentences", 30).texts[0])
    assert text not in made and len(made) > 5
    for new in made:
        assert re.split(r"\S+(?: \S+)*", new) == re.split(r"\S+(?: \S+)*", text) or "Two, approx. two!" in new
        assert Counter(new) == Counter(text) and "Two, approx. two!" in new and new.count("\n\n") == 1


def test_keyboard_neighbours():
    assert set(NEIGHBOURS["a"]) == set("qsz") and set(NEIGHBOURS["g"]) == set("tfhvb") and NEIGHBOURS["P"] == "O"
    for letter, others in NEIGHBOURS.items():
        assert all(letter in NEIGHBOURS[other] for other in others)


@given(st.integers(1, 50), st.data())
def test_choose_draws_different_numbers(count, data):
    wanted = data.draw(st.integers(1, count))
    chosen = choose(Stream(keys(0, "draws", 1)[0]).draw, count, wanted)
    assert len(set(chosen)) == len(chosen) == wanted and all(0 <= number < count for number in chosen)


def test_choose_is_even():
    draw = Stream(keys(0, "draws", 1)[0]).draw
    seen = Counter(number for _ in range(6000) for number in choose(draw, 5, 3))
    assert all(abs(count - 3600) < 200 for count in seen.values())


def test_draws_are_even_and_do_not_depend_on_those_before():
    draws = [Stream(key).draw for text in map(str, range(2000)) for key in keys(0, text, 1)]
    pairs = Counter((int(draw() * 4), int(draw() * 4)) for draw in draws)
    assert len(pairs) == 16 and all(abs(count - 125) < 50 for count in pairs.values())
    assert [Stream(5).draw() for _ in range(2)] == [Stream(5).draw()] * 2


@given(st.lists(st.integers(0, 2**64 - 1)), st.integers(1, 4))
def test_first_draws_are_those_of_a_stream(given_keys, count):
    streams = [Stream(key) for key in given_keys]
    assert list(first_draws(given_keys, count)) == [tuple(row.draw() for _ in range(count)) for row in streams]


def test_keys_of_fewer_copies_are_the_first_of_more():
    many = keys(3, "a text", 30)
    assert len(set(many)) == 30 and all(keys(3, "a text", count) == many[:count] for count in range(31))


def test_keys_differ():
    assert len({key for text in "ab" for seed in (0, 1) for key in keys(seed, text, 4)}) == 16
    assert keys(0, "a\ud800", 1)


@pytest.mark.parametrize(
    ("words_", "rate", "share", "expected"), [(10, 0.1, 0.3, 1), (3, 0.1, 0.3, 0), (40, 0.5, 0.3, 12)]
)
def test_bounds(words_, rate, share, expected):
    assert Bounds(rate, share).count(words_, None) == expected

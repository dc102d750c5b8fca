import time

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.data.columns import Columns
from lighten.data.emoji import emoji_name
from lighten.data.normalise import Normalise, Normaliser
from lighten.data.stop_words import ENGLISH, ENGLISH_NEGATIONS
from lighten.errors import InputError
from lighten.pipeline import step_from_spec

TOKENS = {"urls": "<url>", "emails": "<email>", "phones": "<phone>", "numbers": "<number>"}
ANY = st.text(st.characters(exclude_categories=()))
DENSE = st.text(
    st.sampled_from(list("aabTheI .,'-@:/w1230!~<>url\n\u4e0d\u7684\u201c\u2019\U0001f44d\ufe0f\u200d\u05d0\0"))
)


def normalised(text, **fields):
    made = Normaliser(Normalise(**fields))(text)
    return (text, {}) if made is None else (made[0], dict(made[1]))


@pytest.mark.parametrize(
    ("fields", "text", "expected", "counts"),
    [
        ({"urls": "<url>"}, "See http://a.b/c?d=1, or www.x.com.", "See <url>, or <url>.", {"urls": 2}),
        ({"urls": "<url>"}, "HTTPS://A.B (http://a.b) www. awww.x", "<url> (<url>) www. awww.x", {"urls": 2}),
        ({"urls": "remove"}, "see http://a.b now", "see now", {"urls": 1}),
        ({"urls": "remove"}, "http://a.b", "", {"urls": 1}),
        ({"urls": "<url>"}, "\u770bhttp://a.b/c\u8fd9\u91cc", "\u770b<url>\u8fd9\u91cc", {"urls": 1}),
        ({"emails": "[MAIL]"}, "to a.b+c@x-y.co.uk.", "to [MAIL].", {"emails": 1}),
        ({"emails": "<email>"}, "@me a@b a @ b.com", "@me a@b a @ b.com", {}),
        ({"phones": "<phone>"}, "+1 (555) 123-4567, (555) 123-4567", "<phone>, <phone>", {"phones": 2}),
        ({"phones": "<phone>"}, "13812345678 010-12345678", "<phone> <phone>", {"phones": 2}),
        ({"phones": "<phone>"}, "1999-2001, 10000000000, 2012-12-12", "1999-2001, 10000000000, 2012-12-12", {}),
        ({"numbers": "<number>"}, "1,000.5 at 10:30, 3\u4e2a", "<number> at <number>, <number>\u4e2a", {"numbers": 3}),
        ({"numbers": "<number>"}, "mp3 2nd a1b x_2 1.5x", "mp3 2nd a1b x_2 1.5x", {}),
        (TOKENS, "a1@x.org +49 30 1234567 7 http://x.y/1", "<email> <phone> <number> <url>", dict.fromkeys(TOKENS, 1)),
        (
            {"emoji": "remove"},
            "good \U0001f600\U0001f44d\U0001f3fd! (c) \u00a9 1",
            "good ! (c) \u00a9 1",
            {"emoji": 2},
        ),
        ({"emoji": "name"}, "ok\U0001f44d.", "ok :thumbs_up_sign: .", {"emoji": 1}),
        ({"case": "lower"}, "A Film", "a film", {"case": 1}),
        ({"punctuation": "normalise"}, "\u201cit\u2019s\u201d a\u2014b", '"it\'s" a-b', {"punctuation": 4}),
        (
            {"punctuation": "remove"},
            "Well-known -- don't, \u597d\uff01",
            "Well known don't \u597d",
            {"punctuation": 4},
        ),
        ({"punctuation": "remove"}, "3.5/5 at http://a.b/c_d!", "3.5/5 at http://a.b/c_d", {"punctuation": 1}),
        (
            {"punctuation": "remove", "urls": "<url>"},
            "<url> (http://a.b)",
            "<url> <url>",
            {"urls": 1, "punctuation": 2},
        ),
        (
            {"repeats": 2},
            "soooo good!!!! 10000 VIII III ... www.x.com",
            "soo good!! 10000 VIII III ... www.x.com",
            {"repeats": 2},
        ),
        ({"repeats": 3}, "soooo aaa", "sooo aaa", {"repeats": 1}),
        ({"stop_words": ["en"]}, "The film is not up-to-date", "film not up-to-date", {"stop_words": 2}),
        ({"stop_words": ["en"]}, "I don't\n\nlike  it at all", "don't\n\nlike", {"stop_words": 4}),
        ({"stop_words": ["en"], "negations": "remove"}, "it is not good", "good", {"stop_words": 3}),
        ({"width": "half"}, "\uff21\uff22\uff11\uff0c\u3000\u597d", "AB1, \u597d", {"width": 1}),
        ({"width": "alphanumeric"}, "\uff21\uff11\uff0c\u597d", "A1\uff0c\u597d", {"width": 1}),
    ],
)
def test_texts(fields, text, expected, counts):
    assert normalised(text, **fields) == (expected, counts)


def test_names_of_emoji():
    assert emoji_name("\U0001f44d\U0001f3fd") == ":thumbs_up_sign_skin_type_4:"
    assert emoji_name("\U0001f1eb\U0001f1f7") == ":flag_fr:"
    assert emoji_name("3\ufe0f\u20e3") == ":keycap_3:"
    assert emoji_name("\U0001f468\u200d\U0001f469") == ":man_woman:"
    assert normalised("\U0001f44d\U0001f44d", emoji="name")[0] == ":thumbs_up_sign: :thumbs_up_sign:"


SINGLE = [
    {"urls": "remove"},
    {"urls": "<url>"},
    {"emails": "<email>"},
    {"phones": "<phone>"},
    {"numbers": "<number>"},
    {"numbers": "remove"},
    {"emoji": "name"},
    {"emoji": "remove"},
    {"punctuation": "normalise"},
    {"punctuation": "remove"},
    {"repeats": 2},
    {"stop_words": ["en"]},
    {"width": "half"},
    {"case": "lower"},
]


@pytest.mark.parametrize("fields", SINGLE, ids=str)
@given(text=ANY | DENSE)
def test_nothing_crashes_and_words_keep_their_order(fields, text):
    edited, counts = normalised(text, **fields)
    assert (edited != text) == bool(counts)
    if fields in ({"repeats": 2}, {"stop_words": ["en"]}, {"width": "half"}, {"punctuation": "normalise"}) or (
        "remove" in fields.values()
    ):
        assert len(edited) <= len(text)
    if fields in ({"repeats": 2}, {"punctuation": "normalise"}, {"width": "half"}, {"stop_words": ["en"]}):
        assert normalised(edited, **fields)[0] == edited
    if fields == {"punctuation": "normalise"}:
        assert [c.isspace() for c in edited] == [c.isspace() for c in text]


@given(ANY | DENSE)
def test_all_at_once(text):
    fields = {**TOKENS, "emoji": "name", "punctuation": "remove", "repeats": 2, "stop_words": ["en"], "case": "lower"}
    edited, counts = normalised(text, **fields)
    assert (edited != text) <= bool(counts)


@given(st.lists(st.sampled_from(sorted(ENGLISH | ENGLISH_NEGATIONS | {"film", "Good", "x1"}))))
def test_stop_words_against_the_obvious_way(words):
    expected = " ".join(word for word in words if word.lower() not in ENGLISH)
    assert normalised(" ".join(words), stop_words=["en"])[0] == expected


def test_negations_are_no_stop_words():
    assert not ENGLISH & ENGLISH_NEGATIONS
    assert {"not", "never", "cannot", "don't"} <= ENGLISH_NEGATIONS


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "1",
        "1.",
        "www.",
        "http://",
        "a@",
        "a.",
        "!",
        "I",
        "IV",
        "III",
        "'",
        "a'",
        "-",
        "+1 (",
        "\u4e00",
        "\U0001f44d\u200d",
        "a\n",
    ],
)
def test_a_line_of_a_megabyte_takes_no_more_than_its_share(piece):
    text = piece * (300_000 // len(piece)) + "_"
    started = time.process_time()
    normalised(text, **TOKENS, emoji="remove", punctuation="remove", repeats=2, stop_words=["en"])
    assert time.process_time() - started < 5


def test_a_row_without_text_is_dropped_and_reported_in_held_out_parts_too():
    table = pl.DataFrame({"t": ["http://a.b", "see http://a.b"]})
    edited, note = Normalise(urls="remove").apply(table, Columns("t", part="test"))
    assert edited["t"].to_list() == ["see"]
    assert note["dropped"] == {"empty_text": 1} and note["counts"] == {"urls": 2}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "nothing is asked for"),
        ({"urls": "kep"}, "keep, remove, or a token"),
        ({"negations": "remove"}, "needs stop_words"),
        ({"repeats": 1}, "greater than or equal to 2"),
        ({"stopwords": ["en"]}, "did you mean 'stop_words'"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(InputError, match=message):
        step_from_spec("table", {"normalise": fields}, "data.prepare[0]")

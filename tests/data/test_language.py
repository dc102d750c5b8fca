import polars as pl
import pytest

from lighten.data import language
from lighten.data.columns import Columns
from lighten.data.language import Language, identify, weight
from lighten.errors import InputError, MissingExtraError
from lighten.pipeline import step_from_spec

ENGLISH = "This is a film that everybody should see at least once."
GERMAN = "Dieser Film ist leider ziemlich langweilig und viel zu lang geraten."
CHINESE = "\u8fd9\u90e8\u7535\u5f71\u975e\u5e38\u597d\u770b\uff0c\u6211\u5f88\u559c\u6b22"
TABLE = pl.DataFrame({"t": [ENGLISH, GERMAN, CHINESE, "Bravo!", None, GERMAN, "123 456", "\U0001f44d" * 30]})


def test_rows_in_other_languages_go():
    pytest.importorskip("fasttext")
    kept, note = Language(keep=["en", "zh"]).apply(TABLE, Columns("t"))
    assert kept["t"].to_list() == [ENGLISH, CHINESE, "Bravo!", None, "123 456", "\U0001f44d" * 30]
    assert note["dropped"] == {"language": 2} and note["counts"] == {"de": 2}
    assert note["examples"][0] == {"language": "de", "before": GERMAN, "after": None}


def test_held_out_rows_stay_and_are_reported():
    pytest.importorskip("fasttext")
    kept, note = Language(keep=["en"]).apply(TABLE, Columns("t", part="test"))
    assert kept.equals(TABLE) and note["dropped"] == {}
    assert note["counts"] == {"kept_de": 2, "kept_zh": 1}
    kept, note = Language(keep=["en"], held_out=True).apply(TABLE, Columns("t", part="test"))
    assert note["dropped"] == {"language": 3}


def test_short_and_unsure_texts_stay():
    pytest.importorskip("fasttext")
    table = pl.DataFrame({"t": [GERMAN]})
    assert Language(keep=["en"], min_letters=100).apply(table, Columns("t"))[0].height == 1
    assert (
        Language(keep=["en"], certainty=1.0)
        .apply(pl.DataFrame({"t": ["Bravo, bellissimo film ok"]}), Columns("t"))[0]
        .height
    )


@pytest.mark.parametrize(
    "text", ["", "\0", "\ud800", "a\nb", "\u05d0" * 1_000_000, "\U0001f44d", "a\0\ud800b film that I like"]
)
def test_strange_texts(text):
    pytest.importorskip("fasttext")
    code, certainty = identify(text)
    assert 0 <= certainty <= 1 and (code == "") == (certainty == 0)


def test_capitals_are_read_as_small_letters():
    pytest.importorskip("fasttext")
    assert identify(ENGLISH.upper())[0] == "en"


def test_a_chinese_character_counts_as_three_letters():
    assert weight("ab \u4e0d1") == 5


def test_bad_codes():
    with pytest.raises(InputError, match="'english' is no code"):
        step_from_spec("table", {"language": {"keep": ["english"]}}, "data.prepare[0]")
    pytest.importorskip("fasttext")
    with pytest.raises(InputError, match="knows no language 'xx'"):
        Language(keep=["xx"]).apply(TABLE, Columns("t"))


def test_without_the_packages(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fasttext", None)
    language._model.cache_clear()
    language.languages.cache_clear()
    with pytest.raises(MissingExtraError, match=r"lighten\[language\]"):
        Language(keep=["en"]).apply(TABLE, Columns("t"))

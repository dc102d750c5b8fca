import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lighten.data.columns import Columns
from lighten.data.edit_distance import nearest_words, one_edit
from lighten.data.spelling import Spelling, frequencies
from lighten.data.spelling_rules import doubled, plausible, variant
from lighten.errors import InputError
from lighten.pipeline import step_from_spec, step_to_dict


def corrected(*texts, part="train", **fields):
    table, note = Spelling(**fields).apply(pl.DataFrame({"t": list(texts)}), Columns("t", part=part))
    return table["t"].to_list(), note


def distance(a, b):
    """Restricted Damerau-Levenshtein distance, the obvious way."""
    rows = {(i, -1): i + 1 for i in range(-1, len(a))} | {(-1, j): j + 1 for j in range(-1, len(b))}
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            rows[i, j] = min(rows[i - 1, j] + 1, rows[i, j - 1] + 1, rows[i - 1, j - 1] + (x != y))
            if i and j and x == b[j - 1] and a[i - 1] == y:
                rows[i, j] = min(rows[i, j], rows[i - 2, j - 2] + 1)
    return rows[len(a) - 1, len(b) - 1]


WORD = st.text("abc", max_size=6)


@given(WORD, WORD)
def test_one_edit_against_the_obvious_way(a, b):
    assert one_edit(a, b) == (distance(a, b) == 1)


@given(st.sets(WORD), st.dictionaries(WORD, st.integers(1, 5)))
def test_nearest_words_against_the_obvious_way(words, known):
    words -= known.keys()
    expected = {}
    for word in words:
        near = sorted((-count, other) for other, count in known.items() if distance(word, other) == 1)
        if near:
            expected[word] = near[0][1]
    assert nearest_words(words, known) == expected


def test_the_same_corrections_as_symspell():
    from symspellpy import SymSpell, Verbosity

    known = dict(list(frequencies().items())[:2000])
    checker = SymSpell(max_dictionary_edit_distance=1)
    for word, count in known.items():
        checker.create_dictionary_entry(word, count)
    typos = {word[:2] + word[3:] for word in list(known)[::7] if len(word) > 4} - known.keys()
    near = nearest_words(typos, known)
    assert len(near) == len(typos)
    for typo in typos:
        best = checker.lookup(typo, Verbosity.TOP, 1)[0]
        assert known[near[typo]] == best.count


def test_a_correction_keeps_everything_around_it():
    texts, note = corrected('A  "definately" good\tfilm,\n(realy)  beleive it! ')
    assert texts == ['A  "definitely" good\tfilm,\n(really)  believe it! ']
    assert note["counts"] == {"spelling": 3} and note["changed"] == 1
    assert note["corrections"] == {"beleive -> believe": 1, "definately -> definitely": 1, "realy -> really": 1}
    assert note["examples"][0]["after"] == texts[0]


@pytest.mark.parametrize(
    "text",
    [
        "Beleive in Definately",
        "http://beleive.com/realy beleive.com me@beleive realy/beleive #realy @realy",
        "realy2 real1y beleive's beleive-it",
        "honored colour candor cozy feces savory offense practicing labeling theater centered",
        "una pelicula que tiene momentos definately largos",
        "teh flm",
    ],
)
def test_what_is_left_alone(text):
    assert corrected(text)[0] == [text]


def test_the_glossary_and_frequent_words_are_right(tmp_path):
    text = "the beleive thing"
    assert corrected(text)[0] == ["the believe thing"]
    assert corrected(text, glossary=["Beleive"])[0] == [text]
    words = tmp_path / "words.txt"
    words.write_text("beleive\nother words\n")
    step = Spelling(glossary=str(words))
    assert step_to_dict(step)["glossary"] == ["beleive", "other", "words"]
    often = [f"{text} {number}" for number in range(5)]
    assert corrected(*often)[0] == often
    assert corrected(*often, keep_frequent=6)[0][0] == "the believe thing 0"
    assert corrected(*often, keep_frequent=0)[0][0] == "the believe thing 0"
    assert corrected(*[often[0]] * 9)[0][0] == "the believe thing 0"  # nine copies are one text


def test_what_is_frequent_in_training_rows_is_right_in_the_parts_after_them():
    step = Spelling()
    often = pl.DataFrame({"t": [f"the beleive thing {number}" for number in range(5)]})
    step.apply(often, Columns("t"))
    assert step.apply(often.head(1), Columns("t", part="test"))[0].equals(often.head(1))
    assert Spelling().apply(often.head(1), Columns("t", part="test"))[0]["t"].to_list() == ["the believe thing 0"]


def test_a_glossary_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        step_from_spec("table", {"spelling": {"glossary": str(tmp_path / "nowhere.txt")}}, "data.prepare[0]")
    (tmp_path / "bad").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="UTF-8"):
        Spelling(glossary=str(tmp_path / "bad"))


def test_rules():
    assert variant("groaners", {"groaner"}) and not variant("reala", {"real"})
    assert doubled("realy", "really") and doubled("fillm", "film") and not doubled("real", "realy")
    assert not variant("realy", {"really"})
    assert plausible("definately", "definitely") and plausible("beleive", "believe") and plausible("flim", "film")
    assert not plausible("larky", "larry") and not plausible("films", "film")
    assert not plausible("haute", "hate") and plausible("sytle", "style")
    assert (
        variant("traveled", {"travelled"}) and variant("theater", {"theatre"}) and not variant("beleive", {"believe"})
    )


@settings(max_examples=25)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["beleive", "realy good", None])))
def test_totals_add_up_and_spacing_stays(texts):
    table = pl.DataFrame({"t": texts}, schema={"t": pl.String})
    edited, note = Spelling(keep_frequent=0).apply(table, Columns("t"))
    assert sum(note["corrections"].values()) == note["counts"].get("spelling", 0)
    assert note["rows_in"] - sum(note["dropped"].values()) == note["rows_out"] == edited.height
    for old, new in zip([text for text in texts if text], edited["t"], strict=True):
        assert [part for part in old if part.isspace()] == [part for part in new if part.isspace()]
    again, _ = Spelling(keep_frequent=0).apply(edited, Columns("t"))
    assert again.equals(edited)

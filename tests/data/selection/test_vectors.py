import numpy as np
import pytest
from tests.data.selection.planted import texts_of

from lighten.data.selection import vectors as room
from lighten.data.selection.vectors import GRID, cosine, on_grid, text_vectors, vectors_of


def test_products_on_the_grid_are_exact_in_any_order():
    generator = np.random.default_rng(0)
    places = on_grid(generator.normal(size=(300, 1024)))
    exact = places.astype(np.int64) @ places.astype(np.int64).T
    assert (places @ places.T == exact).all()
    order = generator.permutation(1024)
    assert (places[:7, order] @ places[:, order].T == exact[:7]).all()
    assert np.abs(exact).max() < 2**24
    same = generator.normal(size=(1, 1024)).repeat(2, 0)
    assert (on_grid(same * [[1.0], [100.0]])[0] == on_grid(same)[1]).all()


def test_cosines_are_nearly_those_of_the_vectors():
    wild = np.random.default_rng(1).normal(size=(50, 128))
    unit = wild / np.linalg.norm(wild, axis=1, keepdims=True)
    places = on_grid(wild)
    assert np.abs(cosine(places @ places.T) - unit @ unit.T).max() < 2e-3
    assert (on_grid(np.zeros((2, 3))) == 0).all() and GRID == 2048


def test_texts_of_one_kind_are_near_each_other():
    places = vectors_of(texts_of("film", 100, words=20) + texts_of("food", 100, words=20))
    similar = cosine(places @ places.T)
    assert similar[:100, :100].mean() > similar[:100, 100:].mean() + 0.1


@pytest.mark.parametrize("texts", [["?"], ["", " "], ["one"], ["one two", "one two"], ["?"] * 60, ["好评"] * 3])
def test_few_words_or_none(texts):
    places = vectors_of(texts)
    assert len(places) == len(texts) and np.isfinite(places).all()
    assert (places == places[0]).all()


def test_a_script_without_blanks():
    places = vectors_of(["这部电影很好看"] * 2 + ["这部电影好看", "汤太咸了", "汤很咸"])
    similar = cosine(places @ places.T)
    assert similar[0, 2] > 0.5 > similar[0, 3]


def test_many_rows_are_fitted_on_a_part(monkeypatch):
    monkeypatch.setattr(room, "_FITTED", 80)
    texts = texts_of("film", 100) + texts_of("food", 100)
    assert text_vectors(texts).shape[0] == 200
    assert (text_vectors(texts) == text_vectors(texts)).all()


def test_the_cache(tmp_path, monkeypatch):
    texts = texts_of("film", 30)
    first = vectors_of(texts, cache=tmp_path / "kept")
    (file,) = (tmp_path / "kept").iterdir()
    monkeypatch.setattr(room, "text_vectors", lambda texts: pytest.fail("made again"))
    assert (vectors_of(texts, cache=tmp_path / "kept") == first).all()
    monkeypatch.undo()
    vectors_of([*texts[1:], texts[0]], cache=tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 2
    file.write_bytes(b"damaged")
    assert (vectors_of(texts, cache=tmp_path / "kept") == first).all()
    assert (np.load(file, allow_pickle=False) == first).all()

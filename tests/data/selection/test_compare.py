import numpy as np
import pytest
from tests.data.selection.planted import texts_of

from lighten.data.selection.choose import Pool
from lighten.data.selection.compare import compare, sentence
from lighten.data.selection.sampling import random_rows
from lighten.data.selection.vectors import cosine, vectors_of


@pytest.fixture(scope="module")
def pool():
    texts = texts_of("film", 60) + texts_of("food", 40)
    return Pool(texts, vectors_of(texts), np.repeat([0, 1], [60, 40]), ["film", "food"])


def test_both_sets_are_measured_alike(pool):
    rows = random_rows(100, 20, 5)
    found = compare(pool, rows, 5)
    draws = found["random"].pop("accuracies")
    assert found["selected"] == found["random"] and found["difference"] == 0 and found["judged"] == 100
    similar = cosine(pool.points @ pool.points.T)
    assert found["selected"]["coverage"] == pytest.approx(similar[:, rows].max(1).mean(), abs=1e-4)
    inner = similar[np.ix_(rows, rows)]
    np.fill_diagonal(inner, -1)
    assert found["selected"]["redundancy"] == pytest.approx(inner.max(1).mean(), abs=1e-4)
    assert found["selected"]["by_label"] == {"film": int((rows < 60).sum()), "food": int((rows >= 60).sum())}
    assert found["selected"]["accuracy"] > 80
    assert len(draws) == 5 and draws[0] == found["random"]["accuracy"] and len(set(draws)) > 1
    found["random"]["accuracies"] = draws
    assert f"5 random samples: {min(draws):.1f} to" in sentence("random", found)
    assert "20 rows" in sentence("random", found) and "+0.0 points" in sentence("random", found)


def test_a_bad_choice_is_seen(pool):
    found = compare(pool, np.arange(20), 0)  # films only
    assert found["selected"]["accuracy"] == 60 < found["random"]["accuracy"]
    assert found["difference"] < found["ci95"][1] < 0
    assert found["selected"]["coverage"] < found["random"]["coverage"]


def test_large_tables_are_judged_on_a_part(pool):
    found = compare(pool, np.arange(0, 100, 2), 0, judged=30, members=20)
    assert found["judged"] == 30 and found["selected"]["rows"] == 50 == sum(found["selected"]["by_label"].values())


def test_without_labels_and_with_one_row(pool):
    found = compare(Pool(pool.texts, pool.points), np.array([3]), 0)
    assert found["selected"]["accuracy"] is None and found["selected"]["redundancy"] is None
    assert "by_label" not in found["selected"] and found["difference"] is None
    assert sentence("k_centre", found).startswith("k_centre, 1 rows: coverage")

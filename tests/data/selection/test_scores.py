import numpy as np
import pytest

from lighten.data.selection.linear import FOLDS, fold_of, out_of_fold
from lighten.data.selection.scores import el2n, hardest, margin, summary
from lighten.data.selection.vectors import GRID, on_grid

LIKELY = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.0, 0.0, 1.0]])


def test_margin_and_el2n():
    assert margin(LIKELY) == pytest.approx([0.5, 0.05, 1.0])
    assert el2n(LIKELY, np.array([0, 1, 2])) == pytest.approx(
        [(0.09 + 0.04 + 0.01) ** 0.5, (0.16 + 0.65**2 + 0.0625) ** 0.5, 0.0], abs=1e-6
    )
    assert hardest(np.array([3.0, 1.0, 1.0, 2.0]), 2, low=True).tolist() == [1, 2]
    assert hardest(np.array([3.0, 1.0, 3.0, 3.0]), 2, low=False).tolist() == [0, 2]
    said = summary(np.array([1.0, 2.0, 3.0]), np.array([2]))
    assert said["all"]["mean"] == 2 and said["selected"]["quantiles"]["0.5"] == 3


def test_a_wrong_label_is_the_hardest_row():
    generator = np.random.default_rng(0)
    classes = np.arange(100) % 2
    places = on_grid(generator.normal(size=(100, 4)) + 6 * classes[:, None] - 3)
    classes[7] = 1 - classes[7]
    scores = el2n(out_of_fold(places / GRID, classes, fold_of(classes, 0)), classes)
    assert scores.argmax() == 7


def test_a_row_is_not_judged_by_a_model_that_saw_it():
    """Labels of noise cannot be told out of fold, and the rows outside training are never fitted on."""
    generator = np.random.default_rng(1)
    places, classes = on_grid(generator.normal(size=(200, 100))) / GRID, generator.integers(0, 2, 200)
    fold = fold_of(classes, 0)
    assert np.bincount(fold).tolist() == [200 // FOLDS] * FOLDS
    right = out_of_fold(places, classes, fold).argmax(1) == classes
    assert 0.3 < right.mean() < 0.7
    only = np.zeros(200, bool)
    only[np.flatnonzero(classes == 1)[:20]] = True
    assert (out_of_fold(places, classes, fold, only).argmax(1) == 1).all()

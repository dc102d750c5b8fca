import numpy as np
import polars as pl
import pytest
from tests.helpers.checkpoints import write_model

from lighten.data.columns import Columns
from lighten.data.semantic import semantic_duplicates
from lighten.data.semantic_step import SemanticDuplicates
from lighten.errors import InputError


def space(count, width=16, twins=30, seed=0):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, width)).astype(np.float32)
    for row in range(twins):
        vectors[count - 1 - row] = 3 * vectors[row] + 0.05 * rng.standard_normal(width)
    return vectors


def lookup(vectors):
    return lambda texts: np.stack([vectors[int(text)] for text in texts])


def test_every_pair_above_the_threshold_is_found():
    vectors = space(2500)
    result = semantic_duplicates([str(row) for row in range(2500)], lookup(vectors), 0.9)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    a, b = np.nonzero(np.triu(unit @ unit.T >= 0.9, 1))
    assert {(x, y) for x, y, _ in result.pairs()} == set(zip(a.tolist(), b.tolist(), strict=True))
    assert {(row, 2499 - row) for row in range(30)} <= {(x, y) for x, y, _ in result.pairs()}
    assert result.floor == pytest.approx(0.85)


def test_cells_find_the_twins_too():
    vectors = space(9000, twins=200)
    texts = [str(row) for row in range(9000)]
    result = semantic_duplicates(texts, lookup(vectors), 0.95, exhaustive=1000)
    known = {(a, b) for a, b, _ in result.pairs()}
    assert len(known & {(row, 8999 - row) for row in range(200)}) >= 198
    again = semantic_duplicates(texts, lookup(vectors), 0.95, exhaustive=1000)
    assert again.pairs() == result.pairs()


def test_equal_texts_are_embedded_once():
    asked = []

    def embed(texts):
        asked.extend(texts)
        return np.eye(len(texts), dtype=np.float32)

    result = semantic_duplicates(["a", "b", "a"], embed)
    assert asked == ["a", "b"]
    assert result.pairs() == [(0, 2, 1.0)]
    assert semantic_duplicates([], embed).pairs() == []


@pytest.mark.parametrize("vectors", [np.zeros((1, 4)), np.zeros(2), np.full((2, 3), np.nan)])
def test_embeddings_that_are_none(vectors):
    with pytest.raises(InputError, match="one finite vector for each of 2"):
        semantic_duplicates(["a", "b"], lambda texts: vectors)


def test_the_step_embeds_with_a_model(tmp_path):
    folder = write_model(tmp_path / "model")
    rows = pl.DataFrame({"t": ["a great film", "A  GREAT film", "dull plot, boring mess"], "y": ["x"] * 3})
    result, report = SemanticDuplicates(model=str(folder), threshold=0.999).apply(rows, Columns("t", "y"))
    assert result["t"].to_list() == ["a great film", "dull plot, boring mess"]
    assert report["dropped"] == {"semantic_duplicate": 1}


def test_the_model_is_looked_for_beside_the_recipe(tmp_path):
    write_model(tmp_path / "model")
    step = SemanticDuplicates(model="model", threshold=0.999)
    found = step.find(["a great film", "a great film", "dull"], Columns("t", base=tmp_path))
    assert found.pairs()[0] == (0, 1, 1.0)
    assert step.sources() == ["model"]


def test_a_model_that_is_none(tmp_path):
    with pytest.raises(InputError):
        SemanticDuplicates(model=str(tmp_path)).find(["a", "b"], Columns("t"))

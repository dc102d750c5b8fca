"""The module that is trained: tables that train only what occurs, and the mean written out."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from lighten.compress.static_model import StaticModel, Table
from lighten.models.static import PRIME


def table(rows: int, width: int, occurring=None, seed: int = 0) -> Table:
    whole = np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)
    return Table(whole, np.arange(rows) if occurring is None else np.array(occurring))


def test_a_table_gives_and_trains_the_rows_that_occur():
    part = table(9, 3, [1, 4, 8])
    assert part.rows.weight.shape == (3, 3)
    ids = torch.tensor([[8, 1], [4, 4]])
    np.testing.assert_array_equal(part(ids).detach(), part.whole[ids])
    optimizer = torch.optim.SGD(part.parameters(), 1.0)
    part(torch.tensor([4])).sum().backward()
    optimizer.step()
    change = part.trained() - part.whole
    assert np.allclose(change[4], -1) and not np.delete(change, 4, 0).any()
    assert "place" not in part.state_dict()  # it follows from the data


def test_the_answer_written_out():
    """Token by token in plain numpy."""
    torch.manual_seed(0)
    model = StaticModel(table(20, 4), table(20, 1, seed=1), table(7, 4, seed=2), 5, 3, 0.9).eval()
    ids, mask = np.array([[3, 9, 9, 1], [2, 5, 0, 0]]), np.array([[1, 1, 1, 1], [1, 1, 0, 0]])
    with torch.no_grad():
        found = model(torch.from_numpy(ids), torch.from_numpy(mask)).logits.numpy()
    static = model.to_static()
    for row, length in enumerate(mask.sum(1)):
        text = ids[row, :length].tolist()
        weights = [static.weights[i] for i in text]
        x = sum(w * static.vectors[i] for w, i in zip(weights, text, strict=True)) / sum(weights)
        pairs = [(a * PRIME + b) % 7 for a, b in pairwise(text)]
        x = x + sum(static.ngrams[i] for i in pairs) / len(pairs)
        inner = np.maximum(x @ static.head[0].weight + static.head[0].bias, 0)
        np.testing.assert_allclose(found[row], inner @ static.head[1].weight + static.head[1].bias, atol=1e-5)


def test_weights_stay_above_zero():
    model = StaticModel(table(5, 2), table(5, 1), None, 2, 2, 0.0)
    assert (model.to_static().weights > 0).all() and model.to_static().ngrams is None

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.errors import InputError
from lighten.train.parallel.cut import Costs, cut, measure

SECONDS = st.floats(0, 10)


def slowest(costs: Costs, parts: list[range]) -> float:
    times = [sum(costs.layers[i] for i in part) for part in parts]
    times[0] += costs.front
    times[-1] += costs.back
    return max(times)


@given(SECONDS, st.lists(SECONDS, min_size=1, max_size=7), SECONDS, st.data())
def test_no_other_cut_has_a_faster_slowest_stage(front, layers, back, data):
    costs = Costs(front, tuple(layers), back)
    stages = data.draw(st.integers(1, len(layers)))
    parts = cut(costs, stages)
    assert [i for part in parts for i in part] == list(range(len(layers)))
    assert len(parts) == stages and all(len(part) for part in parts)
    best = min(
        slowest(costs, [range(a, b) for a, b in zip((0, *inner), (*inner, len(layers)), strict=True)])
        for inner in combinations(range(1, len(layers)), stages - 1)
    )
    assert slowest(costs, parts) == pytest.approx(best)


def test_a_dear_embedding_moves_the_cut():
    assert cut(Costs(0, (1, 1, 1, 1), 0), 2) == [range(0, 2), range(2, 4)]
    assert cut(Costs(2, (1, 1, 1, 1), 0), 2) == [range(0, 1), range(1, 4)]


def test_more_stages_than_layers():
    with pytest.raises(InputError, match="needs 3 layers; the model has 2"):
        cut(Costs(0, (1, 1), 0), 3)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_slow_layer_is_found(frozen):
    import time

    import torch
    from torch import nn

    class Slow(nn.Module):
        def __init__(self, seconds):
            super().__init__()
            self.seconds, self.inner = seconds, nn.Linear(4, 4)

        def forward(self, hidden):
            time.sleep(self.seconds)
            return self.inner(hidden)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(9, 4), nn.Linear(4, 2)
            self.layers = nn.ModuleList([Slow(0.001), Slow(0.03), Slow(0.001)])

        def forward(self, input_ids):
            hidden = self.embed(input_ids)
            for layer in self.layers:
                hidden = layer(hidden)
            return type("Answer", (), {"logits": self.head(hidden[:, 0])})

    model = Model()
    if frozen:
        model.embed.requires_grad_(False)
    costs = measure(
        model,
        [(str(i), layer) for i, layer in enumerate(model.layers)],
        {"input_ids": torch.ones(2, 3, dtype=torch.int64)},
    )
    assert max(costs.layers) == costs.layers[1] > 0.029
    assert costs.front < 0.02 and costs.back < 0.02 and len(costs.layers) == 3
    assert all(p.grad is None for p in model.parameters())

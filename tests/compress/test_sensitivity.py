"""Which products stay in fp32."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.checkpoints import token_batch, vocabulary

from lighten.compress.sensitivity import agreement, allocate, answers, divergence, sensitivities
from lighten.models.quantised.emulate import Emulation
from lighten.models.quantised.precision import FP32, Precision, product_names
from lighten.models.read import read_encoder


def test_divergence_is_the_sum_it_is_defined_by():
    wanted, found = torch.randn(5, 3), torch.randn(5, 3)
    p, q = wanted.double().softmax(-1), found.double().softmax(-1)
    assert divergence(wanted, found) == pytest.approx(float((p * (p / q).log()).sum(1).mean()))
    assert divergence(wanted, wanted) == 0
    p, q = wanted.double().sigmoid(), found.double().sigmoid()
    each = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    assert divergence(wanted, found, several=True) == pytest.approx(float(each.sum(1).mean()))


def test_agreement_by_class():
    wanted = torch.tensor([[2.0, 1, 0], [2, 1, 0], [0, 1, 0], [0, 3, 1]])
    found = torch.tensor([[2.0, 1, 0], [1, 2, 0], [0, 1, 0], [0, 3, 1]])
    assert agreement(wanted, found) == (0.75, [0.5, 1.0, None])
    share, classes = agreement(wanted - 1.5, found - 1.5, several=True)
    assert share == pytest.approx(10 / 12) and classes == [0.75, 0.75, 1.0]


def test_the_product_with_a_bad_weight_is_the_sensitive_one(bert):
    encoder = read_encoder(bert)
    up, down = encoder.layers[1].up, encoder.layers[1].down
    down.weight[0] = 400  # one row that takes the scale of every column; its neuron never speaks
    up.weight[:, 0], up.bias[0] = 0, 0
    names = product_names(encoder)
    ids, mask = token_batch(len(vocabulary(0)), 20, 12, 0)
    batches = [(torch.from_numpy(ids), torch.from_numpy(mask))]
    wanted = answers(Emulation(encoder, FP32), batches)
    emulation = Emulation(encoder, Precision(int8=True))
    errors = sensitivities(emulation, wanted, batches, names)
    assert max(errors, key=errors.__getitem__) == "layer1.down" and emulation.floats == set()
    assert errors["layer1.down"] > 20 * np.median(list(errors.values()))
    all_float = Emulation(encoder, Precision(int8=True, floats=tuple(names)))
    assert divergence(wanted, answers(all_float, batches)) < min(errors.values()) * 2


costs = st.dictionaries(
    st.sampled_from("abcdefgh"), st.tuples(st.floats(0.001, 9), st.floats(-1, 9)), min_size=1, max_size=8
)


@given(costs, st.integers(0, 9))
def test_allocation_stops_as_soon_as_it_agrees(given_, needed):
    errors = {name: error for name, (error, _) in given_.items()}
    savings = {name: saved for name, (_, saved) in given_.items()}
    found = allocate(errors, savings, lambda floats: 1.0 if len(floats) >= needed else 0.5, 0.9)
    assert len(found.floats) == min(needed, len(errors)) == len(found.agreements) - 1
    left = [name for name in errors if name not in found.floats]
    for name in found.floats:
        for other in left:
            if savings[name] > 0:
                assert savings[other] > 0 and errors[name] / savings[name] >= errors[other] / savings[other]

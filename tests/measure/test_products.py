"""Single products: times, and whether sums saturate."""

from __future__ import annotations

import numpy as np
import pytest

from lighten.measure import products


def pairs_in_16_bits(activations, weights):
    """What vpmaddubsw and vpaddd compute: pairs of products, each pair cut to 16 bits."""
    each = activations[:, :, None].astype(np.int64) * weights[None].astype(np.int64)
    return np.clip(each[:, 0::2] + each[:, 1::2], -(2**15), 2**15 - 1).sum(1)


@pytest.mark.parametrize("bits", [7, 8])
def test_seven_bits_never_saturate_and_eight_do(bits):
    top = 2 ** (bits - 1) - 1
    weights = np.random.default_rng(0).choice([-top, top], (64, 32))
    activations = np.concatenate([(weights > 0).T, (weights < 0).T]) * 255
    exact = activations @ weights
    assert np.array_equal(pairs_in_16_bits(activations, weights), exact) == (bits == 7)


def test_seven_bits_are_exact_on_this_machine():
    random = np.random.default_rng(0)
    weights = {name: random.choice(np.array([-63, 63], np.int8), shape) for name, shape in
               (("a", (64, 32)), ("b", (129, 7)))}  # fmt: skip
    assert products.saturating(weights) == []
    assert products.safe_bits() == (7 if products.saturates() else 8)


def test_what_saturates_is_named(monkeypatch):
    """As if ONNX Runtime ran on a CPU without VNNI."""

    class Session:
        def __init__(self, model):
            import onnx

            (weight,) = onnx.load_from_string(model).graph.initializer
            self.weight = onnx.numpy_helper.to_array(weight)

        def run(self, _, feeds):
            return [pairs_in_16_bits(feeds["x"].astype(np.int64), self.weight.astype(np.int64)).astype(np.int32)]

    monkeypatch.setattr(products, "open_session", lambda model, threads, spinning: Session(model))
    random = np.random.default_rng(1)
    few = random.integers(-20, 20, (40, 100)).astype(np.int8)
    extreme = few.copy()
    extreme[6:8, 90] = 127  # one pair in one column, hidden from random activations
    assert products.saturating({"few": few, "extreme": extreme}) == ["extreme"]
    assert products.saturates() and products.safe_bits() == 7


def test_a_runtime_that_cannot_say_gets_seven_bits(monkeypatch):
    def broken(model, threads, spinning):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(products, "open_session", broken)
    assert products.safe_bits() == 7


def test_times_are_of_every_shape_once():
    found = products.time_products([(8, 16), (16, 8), (8, 16)], tokens=3, rounds=3)
    assert list(found) == [(8, 16), (16, 8)]
    assert all(fp32 > 0 and int8 > 0 for fp32, int8 in found.values())

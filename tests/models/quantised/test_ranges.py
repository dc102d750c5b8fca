"""Calibration: ranges of known distributions, and the methods among each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.checkpoints import token_batch, vocabulary

from lighten.models.quantised.emulate import Emulation
from lighten.models.quantised.precision import Precision, product_names
from lighten.models.quantised.ranges import calibrate, entropy_window, percentile_range
from lighten.models.read import read_encoder

BINS = 4096


def histogram(x, top):
    return np.histogram(x, BINS, (-top, top))[0].astype(float)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.sampled_from([90.0, 99.0, 99.9, 100.0]), st.floats(0, 3))
def test_percentiles_leave_out_their_share(seed, percentile, shift):
    x = np.random.default_rng(seed).normal(shift, 1, 4000)
    top = np.abs(x).max()
    low, high = percentile_range(histogram(x, top), top, percentile)
    width = 2 * top / BINS
    # Just enough is inside: the next bin inwards at either end would leave out more than its share.
    outside = (100 - percentile) / 200
    assert (x < low - 1e-9).mean() <= outside + 1e-9 and (x > high + 1e-9).mean() <= outside + 1e-9
    if low < -2 * width:
        assert (x < low + 1.01 * width).mean() >= outside - 1e-9
    if high > 2 * width:
        assert (x > high - 1.01 * width).mean() >= outside - 1e-9


def test_entropy_cuts_a_far_outlier_and_keeps_what_is_dense():
    rng = np.random.default_rng(0)
    x = np.append(rng.normal(size=100_000), 40.0)
    window = entropy_window(histogram(x, 40.0), 40.0, float(x.min()), 40.0)
    assert 2.5 < window < 12
    uniform = rng.uniform(-1, 1, 100_000)
    assert entropy_window(histogram(uniform, 1.0), 1.0, -1.0, 1.0) > 0.9


def batches(seed=0):
    ids, mask = token_batch(len(vocabulary(0)), 30, 20, 0, seed)
    return [(torch.from_numpy(ids), torch.from_numpy(mask))]


def test_min_max_is_what_the_real_tokens_had(bert):
    encoder = read_encoder(bert)
    names = product_names(encoder)
    emulation = Emulation(encoder, Precision(int8=True, floats=tuple(names)))
    found = calibrate(emulation, batches, "min-max")
    assert list(found) == names and emulation.observer is None
    (ids, mask), seen = batches()[0], []
    emulation.observer = lambda name, x: seen.append((name, x))
    for row, length in enumerate(mask.sum(1)):  # alone, so that there is no padding at all
        emulation.run(ids[row : row + 1, :length], mask[row : row + 1, :length])
    for name in names:
        numbers = torch.cat([x.flatten() for n, x in seen if n == name])
        wanted = min(0.0, float(numbers.min())), max(0.0, float(numbers.max()))
        assert found[name] == pytest.approx(wanted, abs=1e-4)


def test_other_methods_lie_inside_min_max(bert):
    encoder = read_encoder(bert)
    emulation = Emulation(encoder, Precision(int8=True, floats=tuple(product_names(encoder))))
    whole = calibrate(emulation, batches, "min-max")
    for method, options in (("percentile", {"percentile": 99.0}), ("entropy", {})):
        found = calibrate(emulation, batches, method, **options)
        assert all(whole[n][0] <= low <= 0 <= high <= whole[n][1] for n, (low, high) in found.items())
        assert found != whole


def test_an_unknown_method(bert):
    with pytest.raises(ValueError, match="method must be one of min-max, percentile, entropy but got 'max'"):
        calibrate(Emulation(read_encoder(bert), Precision(int8=True)), batches, "max")

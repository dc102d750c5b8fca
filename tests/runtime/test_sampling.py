from __future__ import annotations

import numpy as np
import pytest

from lighten.errors import InputError
from lighten.runtime.sampling import Sampling

LOGITS = np.log(np.array([0.1, 0.4, 0.05, 0.3, 0.15], np.float32))


def test_without_temperature_the_likeliest():
    assert Sampling().choose(LOGITS, np.random.default_rng(0)) == 1


@pytest.mark.parametrize(
    ("sampling", "ids"),
    [
        (Sampling(1.0), [1, 3, 4, 0, 2]),
        (Sampling(1.0, top_k=2), [1, 3]),
        (Sampling(1.0, top_k=9), [1, 3, 4, 0, 2]),
        (Sampling(1.0, top_p=0.5), [1, 3]),
        (Sampling(1.0, top_p=0.4), [1]),
        (Sampling(1.0, top_p=0.86), [1, 3, 4, 0]),
        (Sampling(1.0, top_k=3, top_p=0.9), [1, 3, 4]),
    ],
)
def test_candidates(sampling, ids):
    found, shares = sampling.candidates(LOGITS)
    assert found.tolist() == ids
    expected = np.exp(LOGITS[ids].astype(float))
    np.testing.assert_allclose(shares, expected / expected.sum(), rtol=1e-5)


def test_draws_follow_the_tempered_probabilities():
    sampling, random = Sampling(2.0), np.random.default_rng(0)
    counts = np.bincount([sampling.choose(LOGITS, random) for _ in range(4000)], minlength=5) / 4000
    expected = np.exp(LOGITS / 2)
    np.testing.assert_allclose(counts, expected / expected.sum(), atol=0.03)


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Sampling(**wrong)

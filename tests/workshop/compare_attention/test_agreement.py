from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.checkpoints import write_model

from lighten.models.checkpoint import read_config
from lighten.workshop.compare_attention.agreement import agreement, agreement_with, cosine, difference_from

SEEDS = st.integers(0, 2**16)


def drawn(seed, tokens=12, hidden=5):
    return np.random.default_rng(seed).normal(size=(tokens, hidden)).astype(np.float32)


@given(seed=SEEDS, other=SEEDS, shift=st.floats(-50, 50), scale=st.floats(0.1, 10))
def test_agreement_does_not_depend_on_where_the_states_lie(seed, other, shift, scale):
    a, b = drawn(seed), drawn(other)
    plain = agreement_with(a, b)
    assert plain <= 1
    assert agreement_with(a * scale + shift, b * scale + shift) == pytest.approx(plain, abs=0.02)
    assert agreement_with(a, a) == 1


def test_the_scale_of_agreement():
    a = drawn(0)
    mean = np.repeat(a.mean(0, keepdims=True), len(a), 0)
    assert agreement_with(a, mean) == pytest.approx(0, abs=1e-6)
    assert agreement_with(a, (a + mean) / 2) == pytest.approx(0.75, abs=1e-6)
    assert agreement_with(a, 2 * mean - a) == pytest.approx(-3, abs=1e-5)
    # By hand: what numpy's variance says.
    other = drawn(1)
    assert agreement_with(a, other) == pytest.approx(
        1 - ((a - other) ** 2).sum() / (a.var(0).sum() * len(a)), abs=1e-5
    )
    assert agreement_with(mean, mean) == 1 and agreement_with(np.ones((2, 2)), np.zeros((2, 2))) == 0


def test_differences_and_cosines():
    a = drawn(0)
    assert difference_from(a, a) == 0 == difference_from(a * 0, a * 0)
    assert difference_from(a, 1.25 * a) == pytest.approx(0.25, abs=1e-6)
    assert difference_from(a * 0, a) == 1
    assert cosine(a[0], 3 * a[0]) == pytest.approx(1) and cosine(a[0], -a[0]) == pytest.approx(-1)
    assert cosine(a[0], a[0] * 0) == 0


@pytest.fixture(scope="module")
def request_of(tmp_path_factory):
    folder = write_model(tmp_path_factory.mktemp("agreement") / "electra", "electra")
    ids = np.random.default_rng(0).integers(10, 60, (3, 40)).tolist()

    def made(**changes):
        asked = {"do": "agreement", "model": str(folder), "config": read_config(folder), "ids": ids, "window": 4}
        return {**asked, "kinds": ["window", "dilated", "longformer"], "threads": 1, "seed": 0, **changes}

    return made


def test_the_answer(request_of):
    said = []
    found = agreement(request_of(), said.append)
    json.dumps(found)
    for kind in ("window", "dilated"):
        one = found["kinds"][kind]
        assert all(len(one[name]) == 3 for name in ("agreement", "difference", "first_cosine"))
        assert max(one["agreement"]) < 0.999 and min(one["difference"]) > 1e-3
    assert "narrower" in found["kinds"]["longformer"]["refused"]
    assert -1 <= found["first_other"] < 0.9999 and said[-1] <= 1
    assert agreement(request_of(), said.append) == found


def test_wider_windows_agree_more(request_of):
    found = [agreement(request_of(kinds=["window"], window=width), lambda share: None) for width in (1, 8, 39)]
    means = [np.mean(one["kinds"]["window"]["agreement"]) for one in found]
    assert means[0] < means[1] < means[2] and means[2] == pytest.approx(1, abs=1e-6)


def test_one_text_has_no_other(request_of):
    asked = request_of(kinds=["window"])
    assert agreement({**asked, "ids": asked["ids"][:1]}, lambda share: None)["first_other"] is None

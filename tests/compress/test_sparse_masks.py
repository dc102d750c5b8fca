"""Which weights become zero."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lighten.compress.sparse_masks import Target, cubic, masks_for
from lighten.errors import InputError

shapes = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3).map(lambda n: 8 * n)), min_size=1, max_size=3)


def scores_of(sizes, seed, ties):
    rng = np.random.default_rng(seed)
    draw = (lambda s: rng.integers(0, 3, s).astype(np.float32)) if ties else (lambda s: rng.random(s, np.float32))
    return {f"m{i}": torch.from_numpy(draw(size)) for i, size in enumerate(sizes)}


@given(shapes, st.integers(0, 99), st.booleans(), st.floats(0.01, 0.99), st.sampled_from(("global", "layer")))
def test_exactly_as_many_as_asked_for_and_the_lowest(sizes, seed, ties, sparsity, scope):
    scores = scores_of(sizes, seed, ties)
    masks = masks_for(scores, Target(sparsity, scope))
    parts = [list(scores)] if scope == "global" else [[name] for name in scores]
    for names in parts:
        values = np.concatenate([scores[n].numpy().ravel() for n in names])
        gone = ~np.concatenate([masks[n].numpy().ravel() for n in names])
        wanted = np.zeros(len(values), bool)
        wanted[np.argsort(values, kind="stable")[: round(sparsity * len(values))]] = True
        assert np.array_equal(gone, wanted)  # of equal scores the first


@pytest.mark.parametrize("pattern", [(1, 4), (2, 4), (4, 8)])
@given(sizes=shapes, seed=st.integers(0, 99), ties=st.booleans())
def test_patterns_hold_in_every_group(pattern, sizes, seed, ties):
    kept, group = pattern
    scores = scores_of(sizes, seed, ties)
    for name, mask in masks_for(scores, Target(1 - kept / group, "global", pattern)).items():
        groups = mask.numpy().reshape(-1, group)
        assert (groups.sum(1) == kept).all()
        values = scores[name].numpy().reshape(-1, group)
        assert all(min(v[g]) >= max(v[~g]) for v, g in zip(values, groups, strict=True))


@given(shapes, st.integers(0, 99), st.floats(0, 0.99), st.sampled_from(("global", "layer")))
def test_on_the_way_to_a_pattern(sizes, seed, share, scope):
    """The zeros are among those of the end, the lowest of them first, in number as the share says."""
    scores = scores_of(sizes, seed, False)
    target = Target(0.5, scope, (2, 4))
    now, end = masks_for(scores, target, share), masks_for(scores, target)
    assert all((now[name] | ~end[name]).all() for name in scores)
    parts = [list(scores)] if scope == "global" else [[name] for name in scores]
    for names in parts:
        total = sum(scores[n].numel() for n in names)
        assert sum(int((~now[n]).sum()) for n in names) == round(share * 0.5 * total)


def test_global_spares_the_matrix_that_matters():
    scores = {"low": torch.full((4, 4), 1.0), "high": torch.full((4, 4), 2.0)}
    masks = masks_for(scores, Target(0.5))
    assert not masks["low"].any() and masks["high"].all()
    layer = masks_for(scores, Target(0.5, "layer"))
    assert int(layer["low"].sum()) == int(layer["high"].sum()) == 8


def test_the_cubic_curve():
    assert cubic(0) == 0 and cubic(1) == 1 and cubic(0.5) == 0.875 and cubic(-3) == 0 and cubic(7) == 1
    assert all(a < b for a, b in zip(map(cubic, (0, 0.2, 0.4)), map(cubic, (0.2, 0.4, 1)), strict=True))


def test_no_zero_at_share_zero():
    assert masks_for({"m": torch.zeros(4, 8)}, Target(0.9), 0.0)["m"].all()


@pytest.mark.parametrize(
    ("target", "shape", "said"),
    [
        (Target(0.5, "global", (2, 4)), (8, 30), "pattern 2:4 needs inputs in multiples of 4, but m has 30"),
        (Target(0.5, "global", (4, 8)), (8, 12), "pattern 4:8 needs inputs in multiples of 8, but m has 12"),
        (Target(0.999, "layer"), (4, 8), "sparsity 0.999 would leave nothing of m"),
        (Target(0.999, "global"), (4, 8), "sparsity 0.999 would leave none of 32 weights"),
    ],
)
def test_what_cannot_be_done(target, shape, said):
    with pytest.raises(InputError, match=f"here: {said}"):
        target.check({"m": shape}, "here")
    Target(0.5, target.scope).check({"m": shape}, "here")

"""Windowed attention against masked scores: forward and gradients, at every length, window, padding and pattern."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lighten.models.attention import linear
from lighten.models.attention.chunked import chunked
from lighten.models.attention.fused import fused
from lighten.models.attention.linear import windowed
from lighten.models.attention.pattern import Pattern
from lighten.models.attention.random_blocks import draw
from lighten.models.attention.reference import allowed, masked_sdpa

Tensor = torch.Tensor
Attention = Callable[[Tensor, Tensor, Tensor, Tensor | None, Pattern], Tensor]

patterns = st.one_of(
    st.builds(
        Pattern,
        window=st.integers(1, 90),
        globals_=st.sampled_from([0, 1, 2, 7]),
        dilation=st.sampled_from([1, 1, 2, 5]),
    ),
    st.builds(
        Pattern,
        window=st.integers(1, 40),
        globals_=st.sampled_from([0, 1, 2, 7]),
        random_blocks=st.integers(1, 4),
        block=st.sampled_from([1, 4, 16, 33]),
        seed=st.integers(0, 1000),
    ),
)


def _tensors(rows: int, heads: int, n: int, size: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Return q, k, v as a model has them: views of [rows, n, heads, size]."""
    generator = torch.Generator().manual_seed(seed)
    made = (torch.randn(rows, n, heads, size, generator=generator) for _ in range(3))
    return tuple(x.requires_grad_().transpose(1, 2) for x in made)


def _gap(one: Attention, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, pattern: Pattern) -> float:
    """Return the greatest difference to the reference, of the answer and of all gradients."""
    weight = torch.randn(q.shape, generator=torch.Generator().manual_seed(1))
    found = []
    for attend in (one, masked_sdpa):
        out = attend(q, k, v, mask, pattern)
        assert out.shape == q.shape and out.dtype == q.dtype
        found.append((out, *torch.autograd.grad((out * weight).sum(), (q, k, v))))
    return max(float((a - b).detach().abs().max()) for a, b in zip(*found, strict=True))


def _plain(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, pattern: Pattern) -> Tensor:
    return chunked(q, k, v, mask, pattern, q.shape[-1] ** -0.5)


def _right(lengths: list[int], n: int) -> Tensor:
    return torch.arange(n) < torch.tensor(lengths)[:, None]


@settings(max_examples=60, deadline=None)
@given(
    pattern=patterns,
    n=st.integers(1, 300),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=3),
    heads=st.integers(1, 3),
    size=st.sampled_from([1, 4, 8]),
    seed=st.integers(0, 99),
)
def test_equals_masked_scores(pattern: Pattern, n: int, shares: list[float], heads: int, size: int, seed: int) -> None:
    q, k, v = _tensors(len(shares), heads, n, size, seed)
    mask = _right([round(share * n) for share in shares], n)
    for attend in (windowed, _plain):
        assert _gap(attend, q, k, v, mask, pattern) < 1e-5


@settings(max_examples=40, deadline=None)
@given(pattern=patterns, n=st.integers(1, 200), seed=st.integers(0, 99))
def test_equals_masked_scores_with_padding_anywhere(pattern: Pattern, n: int, seed: int) -> None:
    q, k, v = _tensors(2, 2, n, 4, seed)
    mask = torch.rand(2, n, generator=torch.Generator().manual_seed(seed)) < 0.6
    assert _gap(windowed, q, k, v, mask, pattern) < 1e-5


@pytest.mark.parametrize("window", [1, 16, 63, 64, 65, 300])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 129, 257, 400])
def test_lengths_around_the_chunks(n: int, window: int) -> None:
    q, k, v = _tensors(1, 2, n, 8)
    for globals_ in (0, 1, 3):
        for attend in (windowed, _plain):
            assert _gap(attend, q, k, v, None, Pattern(window, globals_)) < 1e-5


def test_exact_gradients_in_double_precision() -> None:
    for pattern in (Pattern(3, 2), Pattern(2, 1, dilation=2), Pattern(2, 1, random_blocks=1, block=3)):
        q, k, v = (x.detach().double().requires_grad_() for x in _tensors(1, 1, 12, 2))

        def attend(q: Tensor, k: Tensor, v: Tensor, pattern: Pattern = pattern) -> Tensor:
            return fused(q, k, v, (11,), pattern, 0.5)

        assert torch.autograd.gradcheck(attend, (q, k, v))


def test_great_scores_do_not_overflow() -> None:
    q, k, v = (x.detach() * 60 for x in _tensors(2, 2, 150, 8))
    q, k, v = (x.requires_grad_() for x in (q, k, v))
    mask = _right([150, 70], 150)
    for attend in (windowed, _plain):
        out = attend(q, k, v, mask, Pattern(20, 1))
        out.sum().backward()
        torch.testing.assert_close(out, masked_sdpa(q, k, v, mask, Pattern(20, 1)), atol=1e-2, rtol=1e-4)
        assert all(torch.isfinite(x.grad).all() for x in (q, k, v) if x.grad is not None)


def test_padding_is_zero_and_is_not_seen() -> None:
    q, k, v = _tensors(3, 2, 90, 4)
    mask = _right([90, 31, 0], 90)
    out = windowed(q, k, v, mask, Pattern(8, 1))
    assert (out[1, :, 31:] == 0).all() and (out[2] == 0).all() and (out[0] != 0).any()
    spoiled = [x.detach().clone() for x in (q, k, v)]
    for x in spoiled:
        x[1, :, 31:] = float("nan")
        x[2] = float("inf")
    torch.testing.assert_close(windowed(*spoiled, mask, Pattern(8, 1)), out)


def test_other_masks_layouts_and_scales() -> None:
    q, k, v = _tensors(2, 2, 100, 4)
    mask = _right([100, 40], 100)
    wanted = masked_sdpa(q, k, v, mask, Pattern(8, 1), 0.3)
    contiguous = [x.contiguous() for x in (q, k, v)]
    channels_last = [x.mT.contiguous().mT for x in (q, k, v)]
    for tensors in ((q, k, v), contiguous, channels_last):
        for form in (mask, mask.long(), mask.float()):
            torch.testing.assert_close(windowed(*tensors, form, Pattern(8, 1), 0.3), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_keep_their_type(dtype: torch.dtype) -> None:
    q, k, v = (x.detach().to(dtype).requires_grad_() for x in _tensors(2, 2, 100, 8))
    out = windowed(q, k, v, None, Pattern(8, 1))
    out.sum().backward()
    assert out.dtype == dtype and q.grad is not None and q.grad.dtype == dtype
    wanted = masked_sdpa(*(x.detach().float() for x in (q, k, v)), None, Pattern(8, 1))
    torch.testing.assert_close(out.float(), wanted, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("pattern", [Pattern(8, 2), Pattern(8, 2, random_blocks=2, block=8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("mask", "backward_inside"),
    # The kernel; and plain operations, whose backward pass is torch's own.
    [(None, False), (None, True), (torch.arange(100).expand(2, -1) > 10, False)],
)
def test_mixed_precision_changes_nothing_inside(
    pattern: Pattern, dtype: torch.dtype, mask: Tensor | None, backward_inside: bool
) -> None:
    tensors = [x.detach().to(dtype) for x in _tensors(2, 2, 100, 8)]

    def run(mixed: bool) -> list[Tensor]:
        q, k, v = (x.clone().requires_grad_() for x in tensors)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            out = windowed(q, k, v, mask, pattern)
            loss = (out.float() ** 2).sum()
            if backward_inside:
                loss.backward()
        if not backward_inside:
            loss.backward()
        assert out.dtype == dtype and q.grad is not None and k.grad is not None and v.grad is not None
        return [out.detach(), q.grad, k.grad, v.grad]

    for found, wanted in zip(run(mixed=True), run(mixed=False), strict=True):
        assert torch.equal(found, wanted)
    # Half precision is that of inputs and answer, not of the sums.
    whole = windowed(*(x.float() for x in tensors), mask, pattern).to(dtype)
    assert torch.equal(run(mixed=True)[0], whole)


def test_dropout_keeps_the_mean() -> None:
    torch.manual_seed(0)
    q, k, v = (x.detach() for x in _tensors(1, 2, 60, 8))
    wanted = windowed(q, k, v, None, Pattern(8, 1))
    drawn = torch.stack([windowed(q, k, v, None, Pattern(8, 1), dropout=0.3) for _ in range(400)])
    assert drawn.std(0).min() > 0.01
    assert (drawn.mean(0) - wanted).abs().max() < 0.3


def test_without_the_kernel_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = _tensors(2, 2, 100, 4)
    wanted = windowed(q, k, v, None, Pattern(8, 1))
    monkeypatch.setattr(linear, "available", lambda: False)
    monkeypatch.setattr(linear, "fused", None)
    torch.testing.assert_close(windowed(q, k, v, None, Pattern(8, 1)), wanted, atol=1e-5, rtol=0)


def test_memory_does_not_grow_with_the_square() -> None:
    q, k, v = (x.detach() for x in _tensors(1, 1, 20_000, 1))
    out = windowed(q, k, v, None, Pattern(4, 1))
    near = masked_sdpa(*(x[:, :, :200] for x in (q, k, v)), None, Pattern(4, 1))
    torch.testing.assert_close(out[:, :, 1:190], near[:, :, 1:190])


def test_a_draw_depends_on_the_text_alone() -> None:
    pattern = Pattern(8, 1, random_blocks=3, block=4, seed=5)
    short, valid = draw(pattern, 10, torch.tensor([40]))
    batch, valid_in_batch = draw(pattern, 50, torch.tensor([200, 40]))
    assert (short[0] == batch[1, :10]).all() and (valid[0] == valid_in_batch[1, :10]).all()
    assert not valid_in_batch[1, 10:].any()


def test_a_draw_spreads_and_repeats_nothing() -> None:
    pattern = Pattern(8, 1, random_blocks=3, block=4, seed=5)
    keys, valid = draw(pattern, 200, torch.tensor([800]))
    assert valid.all()
    assert all(len(set(row)) == 3 for row in keys[0].tolist())
    apart = (keys[0] - torch.arange(200)[:, None]) % 200
    assert apart.min() > 2 and apart.max() < 198, "the window is not drawn again"
    assert torch.bincount(keys.flatten(), minlength=200).max() < 15
    other, _ = draw(pattern.of_layer(1), 200, torch.tensor([800]))
    assert (other != keys).float().mean() > 0.9


def test_what_the_reference_allows() -> None:
    seen = allowed(Pattern(window=2, globals_=1), 6).int().tolist()
    assert seen == [
        [1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1],
        [1, 0, 1, 1, 1, 1],
        [1, 0, 0, 1, 1, 1],
    ]
    assert allowed(Pattern(window=1, globals_=0, dilation=2), 5).int().tolist() == [
        [1, 0, 1, 0, 0],
        [0, 1, 0, 1, 0],
        [1, 0, 1, 0, 1],
        [0, 1, 0, 1, 0],
        [0, 0, 1, 0, 1],
    ]
    assert allowed(Pattern(window=1, globals_=0, random_blocks=2, block=2), 20).sum(1).min() >= 5

"""The choice of a number format."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from lighten.train import precision
from lighten.train.precision import Precision, choose


@pytest.fixture
def timed(monkeypatch):
    """Pretend that bf16 takes `factor` times as long as fp32; returns the rows that were timed."""
    precision._speed_ratio.cache_clear()
    rows_timed: list[int] = []

    def pretend(factor: float):
        def seconds(width: int, rows: int, dtype: torch.dtype) -> float:
            rows_timed.append(rows)
            return rows * width * (factor if dtype is torch.bfloat16 else 1.0)

        monkeypatch.setattr(precision, "_seconds", seconds)
        return rows_timed

    yield pretend
    precision._speed_ratio.cache_clear()


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_what_was_asked_for(name, timed):
    rows = timed(1.0)
    assert choose(name) == Precision(name, "asked for")
    assert rows == []


@pytest.mark.parametrize(("factor", "name"), [(0.4, "bf16"), (0.7, "bf16"), (0.8, "fp32"), (1.0, "fp32"), (3, "fp32")])
def test_auto_wants_a_gain(timed, factor, name):
    timed(factor)
    chosen = choose("auto", 64, 128)
    assert chosen.name == name
    assert chosen.reason == f"a bf16 matrix product takes {factor:.2f} times as long as an fp32 one here"


def test_a_hopeless_format_is_not_timed_on_a_whole_batch(timed):
    """200 times slower is seconds for a batch, and a training starts with every probe."""
    rows = timed(200.0)
    assert choose("auto", 384, 1024).name == "fp32"
    assert set(rows) == {32}


def test_a_process_probes_once(timed):
    rows = timed(0.5)
    first = choose("auto", 64, 128)
    count = len(rows)
    timed(2.0)  # the machine became busy
    assert choose("auto", 64, 128) == first and len(rows) == count


def test_the_probe_itself():
    assert 0 < precision._seconds(16, 8, torch.bfloat16) < 60
    assert choose("auto", 16, 8).name in ("fp32", "bf16")


def test_contexts():
    with Precision("bf16", "").context():
        assert torch.nn.functional.linear(torch.ones(2, 4), torch.ones(3, 4)).dtype is torch.bfloat16
    assert isinstance(Precision("fp32", "").context(), nullcontext)

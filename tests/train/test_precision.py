"""The choice of a number format."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from lighten.errors import InputError
from lighten.train import precision, precision_probe
from lighten.train.batches import Batch
from lighten.train.precision import Precision, agreed, choose, choose_by_step
from lighten.train.precision_probe import product_seconds, speed_ratio, step_seconds

NAME_OF = {dtype: name for name, dtype in precision.DTYPES.items()}
GPU = torch.device("cuda")


@pytest.fixture
def timed(monkeypatch):
    """Pretend that products take `factors` times as long as in fp32; returns the rows that were timed."""
    speed_ratio.cache_clear()
    rows_timed: list[int] = []

    def pretend(**factors: float):
        def seconds(width: int, rows: int, dtype: torch.dtype, device: str = "cpu") -> float:
            rows_timed.append(rows)
            return rows * width * factors.get(NAME_OF[dtype], 1.0)

        monkeypatch.setattr(precision_probe, "product_seconds", seconds)
        return rows_timed

    monkeypatch.setattr(precision, "_by_step", {})
    yield pretend
    speed_ratio.cache_clear()


@pytest.fixture
def stepped(monkeypatch):
    """Pretend that steps take so many seconds; returns the formats that were tried."""
    tried: list[list[str]] = []

    def pretend(**seconds: float):
        def measure(model, batch, objective, precisions, device):
            tried.append([p.name for p in precisions])
            return {p.name: seconds[p.name] for p in precisions}

        monkeypatch.setattr(precision_probe, "step_seconds", measure)
        return tried

    return pretend


class Rows:
    """As much of a batch as the choice looks at."""

    shape = (4, 16)


MODEL = torch.nn.Linear(8, 2)


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_what_was_asked_for(name, timed):
    rows = timed()
    assert choose(name) == Precision(name, "asked for") == choose_by_step(MODEL, Rows, None, requested=name)
    earlier = Precision(name, "measured yesterday")
    assert choose(earlier) is earlier is choose_by_step(MODEL, Rows, None, requested=earlier)
    assert choose(name, device=GPU).device == "cuda"
    assert rows == []


def test_a_typing_error():
    with pytest.raises(InputError, match="did you mean 'bf16'"):
        choose("bf61")


@pytest.mark.parametrize(("factor", "name"), [(0.4, "bf16"), (0.7, "bf16"), (0.8, "fp32"), (1.0, "fp32"), (3, "fp32")])
def test_auto_wants_a_gain(timed, factor, name):
    timed(bf16=factor)
    chosen = choose("auto", 64, 128)
    assert chosen.name == name and not chosen.tf32
    assert chosen.reason == f"a bf16 matrix product takes {factor:.2f} times as long as an fp32 one here"


def test_a_hopeless_format_is_not_timed_on_a_whole_batch(timed):
    """200 times slower is seconds for a batch, and a training starts with every probe."""
    rows = timed(bf16=200.0)
    assert choose("auto", 384, 1024).name == "fp32"
    assert set(rows) == {32}


def test_a_process_probes_once(timed):
    rows = timed(bf16=0.5)
    first = choose("auto", 64, 128)
    count = len(rows)
    timed(bf16=2.0)  # the machine became busy
    assert choose("auto", 64, 128) == first and len(rows) == count


@pytest.mark.parametrize(
    ("factors", "name"),
    [
        ({"bf16": 0.2, "fp16": 0.2}, "bf16"),
        ({"bf16": 0.21, "fp16": 0.2}, "bf16"),  # close: bf16 needs no loss scaling
        ({"bf16": 0.3, "fp16": 0.2}, "fp16"),
        ({"bf16": 5.0, "fp16": 0.2}, "fp16"),  # before Ampere
        ({"bf16": 5.0, "fp16": 0.9}, "fp32"),
    ],
)
def test_gpus_may_take_fp16(timed, monkeypatch, factors, name):
    monkeypatch.setattr(precision, "_allow_tf32", lambda device: True)
    timed(**factors)
    chosen = choose("auto", 64, 128, GPU)
    assert (chosen.name, chosen.device, chosen.tf32) == (name, "cuda", True)
    assert "fp32 (TF32)" in chosen.reason


def test_a_format_the_device_does_not_know(timed, monkeypatch):
    def seconds(width, rows, dtype, device="cpu"):
        if dtype is torch.bfloat16:
            raise RuntimeError("not implemented for 'BFloat16'")
        return 1.0

    timed()
    monkeypatch.setattr(precision_probe, "product_seconds", seconds)
    assert choose("auto", 64, 128).name == "fp32"


@pytest.mark.parametrize(("bf16", "name"), [(41, "bf16"), (95, "fp32"), (120, "fp32"), (float("inf"), "fp32")])
def test_steps_decide(timed, stepped, bf16, name):
    timed(bf16=0.3, fp16=90)
    tried = stepped(fp32=0.103, bf16=bf16 / 1000)
    chosen = choose_by_step(MODEL, Rows, None)
    assert chosen.name == name
    assert tried == [["fp32", "bf16"]]
    assert "103 ms in fp32" in chosen.reason
    assert chosen.reason.endswith("fp16 not tried: its matrix product is 90 times slower here")
    assert ("no usable result in bf16" in chosen.reason) == (bf16 == float("inf"))


def test_the_reason_in_full(timed, stepped):
    timed(bf16=0.3, fp16=90)
    stepped(fp32=0.103, bf16=0.041)
    assert choose_by_step(MODEL, Rows, None).reason == (
        "a step takes 41 ms in bf16, 103 ms in fp32; fp16 not tried: its matrix product is 90 times slower here"
    )


@pytest.mark.parametrize(("fp16", "name"), [(0.038, "bf16"), (0.030, "fp16")])
def test_steps_choose_between_16_bit_formats(timed, stepped, fp16, name):
    timed(bf16=0.3, fp16=0.3)
    stepped(fp32=0.103, bf16=0.041, fp16=fp16)
    assert choose_by_step(MODEL, Rows, None).name == name


def test_no_step_where_products_say_all(timed, stepped):
    timed(bf16=200, fp16=1.01)
    tried = stepped()
    chosen = choose_by_step(MODEL, Rows, None)
    assert chosen.name == "fp32" and tried == []
    assert "bf16 not tried: its matrix product is 200 times slower here" in chosen.reason
    assert "fp16 not tried: its matrix product is no faster here" in chosen.reason


def test_a_process_tries_steps_once(timed, stepped):
    timed(bf16=0.3, fp16=90)
    tried = stepped(fp32=0.1, bf16=0.05)
    first = choose_by_step(MODEL, Rows, None)
    stepped(fp32=0.1, bf16=0.5)
    assert choose_by_step(MODEL, Rows, None) == first and len(tried) == 1


def test_real_steps(bert):
    from tests.helpers.training import Task, identical, weights

    training = Task(bert, count=16).training()
    before = weights(training)
    formats = [Precision("fp32", ""), Precision("bf16", ""), Precision("fp16", "")]
    batch = training.sampler.batch(0, training.sampler.batches(0)[0])
    found = step_seconds(training.model, batch, training.objective, formats, torch.device("cpu"))
    assert set(found) == {"fp32", "bf16", "fp16"} and all(seconds > 0 for seconds in found.values())
    assert identical(weights(training), before)


def test_a_format_that_overflows_is_unusable():
    class Overflowing:
        def loss(self, model, batch):
            value = model(torch.ones(2, 8)).float().square().sum()
            return value * (float("inf") if torch.is_autocast_enabled("cpu") else 1.0)

    batch = Batch({"input_ids": torch.zeros(2, 8), "attention_mask": torch.ones(2, 8)}, torch.arange(2), 2.0, 16)
    formats = [Precision("fp32", ""), Precision("bf16", "")]
    found = step_seconds(MODEL, batch, Overflowing(), formats, torch.device("cpu"))
    assert 0 < found["fp32"] < found["bf16"] == float("inf")


def test_memory_that_does_not_do_for_one_format():
    class Hungry:
        def loss(self, model, batch):
            if not torch.is_autocast_enabled("cpu"):
                raise torch.OutOfMemoryError("no memory")
            return model(torch.ones(2, 8)).float().square().sum()

    batch = Batch({"input_ids": torch.zeros(2, 8), "attention_mask": torch.ones(2, 8)}, torch.arange(2), 2.0, 16)
    formats = [Precision("fp32", ""), Precision("bf16", "")]
    found = step_seconds(MODEL, batch, Hungry(), formats, torch.device("cpu"))
    assert found["bf16"] < found["fp32"] == float("inf")


@pytest.mark.parametrize("at", [0, 1, 2])
def test_processes_agree(at):
    mine = Precision("bf16", "a product takes 0.3 times as long")
    shared = agreed(mine, lambda value: float(at))
    assert shared.name == precision.NAMES[at]
    assert (shared == mine) == (at == 1)


def test_the_probe_itself():
    speed_ratio.cache_clear()
    assert 0 < product_seconds(16, 8, torch.bfloat16) < 60
    assert choose("auto", 16, 8).name in ("fp32", "bf16")


def test_contexts():
    for name in ("bf16", "fp16"):
        with Precision(name, "").context():
            answer = torch.nn.functional.linear(torch.ones(2, 4), torch.ones(3, 4))
            assert answer.dtype is precision.DTYPES[name]
    assert isinstance(Precision("fp32", "").context(), nullcontext)

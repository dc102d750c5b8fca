"""Steps cut into micro-batches and shared among copies: the same gradients as one process with the whole step."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.training import FAST, Task

from lighten.train.memory_error import out_of_memory
from lighten.train.microbatch import split
from lighten.train.objectives import Classification
from lighten.train.parallel.strategy import Strategy

STILL = replace(FAST, epochs=1, learning_rate=0.0, clip=1e9)


@pytest.fixture(scope="module")
def task(bert) -> Task:
    return Task(bert, count=41)


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=40),
    copies=st.integers(1, 5),
    micro_tokens=st.none() | st.integers(1, 400),
)
def test_every_row_once_within_the_limit_as_many_parts_everywhere(lengths, copies, micro_tokens):
    tokens = np.array(lengths, np.int64)
    shares = [np.arange(copy, len(tokens), copies) for copy in range(copies)]
    found = split(shares, tokens, micro_tokens)
    assert len(found) == copies and len({len(parts) for parts in found}) == 1
    for rows, parts in zip(shares, found, strict=True):
        assert sorted(np.concatenate(parts).tolist()) == rows.tolist()
        full = [part for part in parts if len(part)]
        assert [len(part) for part in parts] == [len(part) for part in full] + [0] * (len(parts) - len(full))
        if micro_tokens is None:
            assert len(full) <= 1
            continue
        for part in full:
            assert len(part) == 1 or len(part) * tokens[part].max() <= micro_tokens
        for part, after in pairwise(full):  # none could have taken one row more
            assert (len(part) + 1) * max(tokens[part].max(), tokens[after].min()) > micro_tokens


class Copy(Strategy):
    """One of several data-parallel copies, played alone: keeps the gradients of each step instead of adding them."""

    def __init__(self, copy: int, copies: int) -> None:
        super().__init__()
        self.copy, self.copies = copy, copies
        self.seen: list[list[torch.Tensor]] = []
        self.losses: list[float] = []
        self.forwards: list[int] = []
        self.ghosts = 0

    def gradients(self, objective, batches, *rest):
        self.forwards.append(len(batches))
        self.ghosts += sum(batch.ghost for batch in batches)
        self.losses.append(super().gradients(objective, batches, *rest))
        return self.losses[-1]

    def norm(self, parameters):
        self.seen.append([p.grad.clone() for p in parameters])
        return super().norm(parameters)


def steps_of(task: Task, budget: int, copies: int = 1, micro_tokens: int | None = None) -> list[Copy]:
    """Run one epoch at rest on each copy in turn."""
    found = []
    for number in range(copies):
        found.append(Copy(number, copies))
        settings = replace(STILL, micro_tokens=micro_tokens)
        task.training(settings, budget=budget, strategy=found[-1], validate=lambda precision: 0.0).run()
    return found


def added(copies: list[Copy]) -> list[list[torch.Tensor]]:
    return [[sum(parts) for parts in zip(*step, strict=True)] for step in zip(*(c.seen for c in copies), strict=True)]


def assert_same_gradients(found, wanted):
    assert len(found) == len(wanted) > 1
    for step, (first, second) in enumerate(zip(found, wanted, strict=True)):
        size = max(float(g.abs().max()) for g in second)
        assert size > 1e-3
        for a, b in zip(first, second, strict=True):
            assert float((a - b).abs().max()) <= 1e-6 * max(1.0, size), step


@pytest.mark.parametrize("micro_tokens", [1, 40])
def test_micro_batches_give_the_gradients_of_the_whole_step(task, micro_tokens):
    (whole,) = steps_of(task, 160)
    (parts,) = steps_of(task, 160, micro_tokens=micro_tokens)
    assert set(whole.forwards) == {1} and max(parts.forwards) > 2
    assert parts.losses == pytest.approx(whole.losses, rel=1e-5)
    assert_same_gradients(parts.seen, whole.seen)


@pytest.mark.parametrize(
    ("budget", "copies", "micro_tokens", "ghosts"),
    [(160, 2, None, False), (160, 2, 40, True), (40, 5, None, True)],
)
def test_copies_that_share_a_step_add_up_to_one_process(task, budget, copies, micro_tokens, ghosts):
    (whole,) = steps_of(task, budget)
    several = steps_of(task, budget, copies, micro_tokens)
    # Collectives wait for everyone: the same number of forward passes on every copy, idle ones as ghosts.
    assert all(copy.forwards == several[0].forwards for copy in several)
    assert bool(sum(copy.ghosts for copy in several)) == ghosts
    assert np.sum([copy.losses for copy in several], 0).tolist() == pytest.approx(whole.losses, rel=1e-5)
    assert_same_gradients(added(several), whole.seen)


def test_an_accumulating_training_ends_where_a_whole_one_does(task):
    ends = []
    for micro_tokens in (None, 48):
        training = task.training(replace(FAST, micro_tokens=micro_tokens), objective=Classification(task.labels))
        training.run()
        ends.append(torch.cat([p.detach().flatten() for p in training.model.parameters()]))
    assert torch.allclose(*ends, atol=2e-3) and not torch.equal(*ends)


def too_large() -> RuntimeError:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8)  # more than there are addresses: what this torch really says
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes."),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported asynchronously"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        "of this torch",
    ],
    ids=lambda error: str(error)[:30],
)
def test_what_says_that_memory_ran_out(error):
    assert out_of_memory(too_large() if error == "of this torch" else error)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory"), KeyError("memory")])
def test_what_does_not(error):
    assert not out_of_memory(error)

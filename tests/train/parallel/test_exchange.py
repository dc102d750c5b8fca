"""Who updates which rows, and how gradients are added up."""

from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lighten.train.parallel.exchange import BLOCK, Exchange, _add, shares

SHAPES = st.lists(st.lists(st.integers(1, 9), max_size=3).map(tuple), max_size=8)


@given(SHAPES, st.integers(1, 5))
def test_every_row_has_one_owner_and_shares_are_as_equal_as_rows_allow(shapes, processes):
    owned = shares(shapes, processes)
    assert len(owned) == processes
    for number, shape in enumerate(shapes):
        rows = [row for part in owned for row in part.get(number, ())]
        assert rows == list(range(shape[0] if shape else 1))
    order = [number for part in owned for number in part]
    assert order == sorted(order)  # runs, not scattered pieces
    widest = max((prod(shape[1:]) for shape in shapes), default=0)
    total = sum(prod(shape) for shape in shapes)
    for part in owned:
        mine = sum(len(rows) * prod(shapes[number][1:]) for number, rows in part.items())
        assert abs(mine - total / processes) <= widest


def test_the_owner_of_a_row_is_found_one_by_one():
    shapes, processes = [(7, 3), (), (5,), (2, 4, 2), (1, 30)], 3
    owned = shares(shapes, processes)
    total, before = sum(prod(shape) for shape in shapes), 0.0
    for number, shape in enumerate(shapes):
        rows = shape[0] if shape else 1
        for row in range(rows):
            width = prod(shape) // rows
            wanted = min(int((before + width / 2) * processes / total), processes - 1)
            assert row in owned[wanted][number]
            before += width


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("mine", [0, 1, 2, 3])
def test_the_sum_is_in_the_order_of_the_processes_wherever_it_is_left(count, mine):
    torch.manual_seed(0)
    parts = [torch.randn(1000) * 10**k for k in range(4)]
    given_parts, target = parts[:count], parts[mine]
    wanted = given_parts[0].clone()
    for part in given_parts[1:]:
        wanted += part
    square = _add(given_parts, target)
    assert torch.equal(target, wanted)
    assert square == pytest.approx(float(wanted.double().square().sum()), rel=1e-6)


@pytest.fixture
def group(tmp_path):
    """A group of one."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_parameters_keep_their_values_types_and_names(group):
    torch.manual_seed(0)
    parameters = [
        torch.nn.Parameter(torch.randn(5, 4)),
        torch.nn.Parameter(torch.randn(())),
        torch.nn.Parameter(torch.zeros(0)),
        torch.nn.Parameter(torch.randn(3, dtype=torch.float64)),
        torch.nn.Parameter(torch.randn(6, 4).T),
    ]
    before = [p.detach().clone() for p in parameters]
    exchange = Exchange(parameters)
    for parameter, value in zip(parameters, before, strict=True):
        assert torch.equal(parameter, value) and parameter.dtype == value.dtype and parameter.is_leaf
        assert parameter.numel() == 0 or parameter.data_ptr() % 64 == 0
    assert len(exchange.owned) == 4
    assert all(
        torch.equal(owned.rows, before[i]) for i, owned in zip((0, 1, 3, 4), exchange.owned.values(), strict=True)
    )


def test_gradients_of_micro_batches_add_up_and_those_of_the_last_step_are_forgotten(group):
    parameters = [torch.nn.Parameter(torch.zeros(BLOCK + 3, 2)), torch.nn.Parameter(torch.zeros(2))]
    exchange = Exchange(parameters)
    value = torch.randn(BLOCK + 3, 2)
    for _ in range(2):
        exchange.begin()
        exchange.collect(0, value)
        exchange.collect(0, value)
        exchange.end()
        exchange.add()
        first, second = exchange.owned.values()
        assert torch.equal(first.rows.grad, 2 * value) and second.rows.grad is None
        assert first.square == pytest.approx(float((2 * value).double().square().sum()), rel=1e-5)
    exchange.begin()
    exchange.end()
    exchange.add()
    assert first.rows.grad is None and first.square == 0.0


def test_nothing_to_train(group):
    exchange = Exchange([])
    exchange.begin()
    exchange.end()
    exchange.add()
    assert exchange.owned == {}

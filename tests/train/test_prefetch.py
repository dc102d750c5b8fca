"""Work ahead: the same values in the same order, errors where they belong, no thread left behind."""

from __future__ import annotations

import threading
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.train.prefetch import Prefetch


def threads() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


def after(last: int | None = None):
    return lambda key: None if last is not None and key >= last else key + 1


@pytest.mark.parametrize("depth", [0, 1, 2, 5])
def test_values_come_in_order(depth):
    with Prefetch(lambda key: key * key, after(99), depth) as ahead:
        assert [ahead.get(key) for key in range(100)] == [key * key for key in range(100)]
    assert threads() == 0


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.integers(0, 3))
def test_any_key_may_be_asked_for(keys, depth):
    with Prefetch(lambda key: ("made", key), after(20), depth) as ahead:
        assert [ahead.get(key) for key in keys] == [("made", key) for key in keys]


def test_it_works_ahead_and_no_further():
    made, third = [], threading.Event()

    def make(key: int) -> int:
        made.append(key)
        if key == 2:
            third.set()
        return key

    with Prefetch(make, after(), depth=2) as ahead:
        assert ahead.get(0) == 0
        assert third.wait(10)
        ahead.flush()
        assert made[:3] == [0, 1, 2] and len(made) <= 3
        assert ahead.get(1) == 1  # dropped: made once more
        assert made[3] == 1


def test_values_are_made_in_one_other_thread():
    seen = set()
    with Prefetch(lambda key: seen.add(threading.current_thread()), after()) as ahead:
        for key in range(10):
            ahead.get(key)
    assert len(seen) == 1 and threading.current_thread() not in seen


def test_an_error_is_raised_for_its_key_and_not_before():
    def make(key: int) -> int:
        if key == 3:
            raise ValueError("three")
        return key

    with Prefetch(make, after()) as ahead:
        assert [ahead.get(key) for key in range(3)] == [0, 1, 2]
        for _ in range(2):
            with pytest.raises(ValueError, match="three"):
                ahead.get(3)
        assert [ahead.get(key) for key in (4, 5)] == [4, 5]


def test_a_key_that_changes_drops_what_was_made_ahead():
    """As the loop does when memory runs out: the same step again, in smaller parts."""
    with Prefetch(lambda key: key, lambda key: (key[0] + 1, key[1])) as ahead:
        assert [ahead.get((step, 100)) for step in range(3)] == [(step, 100) for step in range(3)]
        assert [ahead.get((step, 50)) for step in range(2, 5)] == [(step, 50) for step in range(2, 5)]


def test_a_slow_value_that_nobody_wants_any_more_is_not_given_to_another():
    release, numbers = threading.Event(), count()

    def make(key: str) -> tuple[str, int]:
        if key == "slow":
            release.wait(10)
        return key, next(numbers)

    ahead = Prefetch(make, {"first": "slow", "slow": "end"}.get, depth=1)
    assert ahead.get("first")[0] == "first"
    threading.Timer(0.05, release.set).start()
    assert ahead.get("other")[0] == "other"
    assert ahead.get("slow")[0] == "slow"
    ahead.close()


def test_closing_ends_the_thread_and_is_final():
    ahead = Prefetch(lambda key: key, after())
    ahead.get(0)
    assert threads() == 1
    ahead.close()
    ahead.close()
    assert threads() == 0
    with pytest.raises(RuntimeError, match="closed"):
        ahead.get(1)

from __future__ import annotations

# ruff: noqa: E501
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.report import words


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (1.7812, "1.78"), (12, "12"), (12808, "12,808"), (1530.0, "1,530"), (0.0001234, "0.000123"),
     (91.54, "91.5"), (-3.0, "-3"), (100.0, "100"), (999.6, "1000"), (float("nan"), "-"), (float("inf"), "-")],
)  # fmt: skip
def test_numbers(value, text):
    assert words.number(value) == text


@given(st.floats(1e-5, 1e9))
def test_a_number_is_shown_to_three_digits(value):
    shown = float(words.number(value).replace(",", ""))
    assert math.isclose(shown, value, rel_tol=0.006, abs_tol=5e-7)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"),
     (3599.7, "1 h 00 min"), (7440, "2 h 04 min")],
)  # fmt: skip
def test_durations(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("code", "text"),
    [(None, ""), ("chosen", "Chosen."), ("latency_ms", "Over the latency limit, so it was never trained."),
     ("size_mb", "Over the size limit, so it was never trained."), ("something_new", "Something new."), ("_", "")],
)  # fmt: skip
def test_reasons(code, text):
    assert words.reason(code) == text


def test_pairs_flatten():
    assert words.pairs({"a": {"b": 1, "c": [1, 2]}, "d": None, "e": 1.5, "f": []}) == [
        ("a.b", "1"), ("a.c", "1, 2"), ("d", "-"), ("e", "1.5"), ("f", "-"),
    ]  # fmt: skip
    assert words.pairs(None) == []


@pytest.mark.parametrize(
    ("lost", "ends", "said"),
    [
        (2.1, [1.1, 3.2], ("2.1", "points lost", "1.1 to 3.2")),
        (0.78, [-0.6, 2.18], ("0.8", "points lost", "-0.6 to 2.2")),
        (-4.5, [-6.9, -1.9], ("4.5", "points gained", "1.9 to 6.9")),
        (-0.2, [-1.0, 0.7], ("0.2", "points gained", "-0.7 to 1.0")),
        (5.2, None, ("5.2", "points lost", "")),
    ],
)
def test_what_was_lost_or_gained_is_one_direction(lost, ends, said):
    assert words.lost_or_gained(lost, ends) == said

"""The frontier beside comparing every pair, ties, and the words that go with them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lighten.measure.statistics import Interval
from lighten.search.decision.frontier import OBJECTIVES, Weighed, alike, common_objectives, dominates, frontier

NAMES = ("quality", "latency_ms", "size_mb")


def weighed(name: str, quality: Any, latency: Any, size: Any, order: float = 0.0, **more: Any) -> Weighed:
    values = {"quality": quality, "latency_ms": latency, "size_mb": size, **more}
    spans = {key: Interval(*v) if isinstance(v, tuple) else Interval(v, v, v) for key, v in values.items()}
    return Weighed(name, spans, order)


def names(entries: Any) -> list[str]:
    return [entry["name"] for entry in entries]


POINTS = st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=12)


@given(POINTS)
def test_a_member_is_what_no_other_is_at_least_as_good_as_and_better(points: list[tuple[int, int, int]]) -> None:
    candidates = [weighed(str(i), *point, order=i) for i, point in enumerate(points)]
    members, lost = frontier(candidates)

    def beats(a: tuple[int, int, int], b: tuple[int, int, int]) -> bool:
        return a[0] >= b[0] and a[1] <= b[1] and a[2] <= b[2] and a != b

    obvious = [str(i) for i, point in enumerate(points) if not any(beats(other, point) for other in points)]
    assert names(members) == obvious
    assert names(lost) == [str(i) for i in range(len(points)) if str(i) not in obvious]
    for entry in lost:
        assert entry["by"] in obvious
        assert beats(points[int(entry["by"])], points[int(entry["name"])])


@given(POINTS)
def test_dominance_is_an_order(points: list[tuple[int, int, int]]) -> None:
    a, b, c = (weighed(str(i), *points[i % len(points)]) for i in range(3))
    objectives = common_objectives([a, b, c])
    assert not dominates(a, a, objectives)
    assert not (dominates(a, b, objectives) and dominates(b, a, objectives))
    if dominates(a, b, objectives) and dominates(b, c, objectives):
        assert dominates(a, c, objectives)


def test_more_quality_and_less_of_all_costs_is_better() -> None:
    base = weighed("base", 80.0, 2.0, 10.0)
    for better in (weighed("q", 81.0, 2.0, 10.0), weighed("l", 80.0, 1.9, 10.0), weighed("s", 80.0, 2.0, 9.9)):
        assert dominates(better, base, OBJECTIVES[:3])
        assert not dominates(base, better, OBJECTIVES[:3])
    assert not dominates(weighed("trade", 81.0, 2.1, 10.0), base, OBJECTIVES[:3])


def test_memory_counts_only_where_all_have_it() -> None:
    lean, heavy = weighed("lean", 80.0, 2.0, 10.0, peak_memory_mb=50.0), weighed("heavy", 81.0, 1.0, 9.0)
    assert [o.name for o in common_objectives([lean, heavy])] == list(NAMES)
    assert names(frontier([lean, heavy])[0]) == ["heavy"]
    known = weighed("heavy", 81.0, 1.0, 9.0, peak_memory_mb=60.0)
    assert names(frontier([lean, known])[0]) == ["heavy", "lean"]


def test_equal_candidates_are_both_members_and_tied() -> None:
    members, lost = frontier([weighed("a", 80, 1, 1, order=2), weighed("b", 80, 1, 1, order=1)])
    assert names(members) == ["b", "a"] and not lost
    assert [m["ties"] for m in members] == [["a"], ["b"]]
    assert [m["simpler"] for m in members] == [None, "b"]


def test_equal_simplicity_prefers_neither() -> None:
    members, _ = frontier([weighed("a", 80, 1, 1, order=1), weighed("b", 80, 1, 1, order=1)])
    assert [m["simpler"] for m in members] == [None, None]


def test_members_with_overlapping_intervals_in_everything_are_tied() -> None:
    first = weighed("first", (81.0, 79.0, 83.0), (1.10, 1.0, 1.2), 10.0, order=1)
    second = weighed("second", (82.0, 80.0, 84.0), (1.15, 1.1, 1.3), 10.2, order=2)
    assert not alike(first, second, OBJECTIVES[:3])  # sizes are exact
    assert alike(first, second, OBJECTIVES[:3], tie=0.03)
    members, _ = frontier([second, first], tie=0.03)
    assert names(members) == ["first", "second"]
    assert members[1]["simpler"] == "first" and members[0]["ties"] == ["second"]


def test_one_quantity_that_differs_tells_them_apart() -> None:
    first = weighed("first", (81.0, 79.0, 83.0), (1.10, 1.0, 1.2), 10.0)
    slow = weighed("slow", (82.0, 80.0, 84.0), (1.6, 1.5, 1.7), 10.0)
    assert not alike(first, slow, OBJECTIVES[:3], tie=0.03)


def test_a_paired_difference_is_sharper_than_two_intervals() -> None:
    first = weighed("first", (81.0, 79.0, 83.0), 1.0, 10.0)
    second = weighed("second", (82.0, 80.0, 84.0), 1.01, 10.0)

    def surely(a: str, b: str) -> Interval:
        return Interval(1.0, 0.2, 1.8)

    def maybe(a: str, b: str) -> Interval:
        return Interval(1.0, -0.2, 2.2)

    assert alike(first, second, OBJECTIVES[:3], tie=0.03)
    assert not alike(first, second, OBJECTIVES[:3], tie=0.03, difference=surely)
    assert alike(first, second, OBJECTIVES[:3], tie=0.03, difference=maybe)
    assert alike(first, second, OBJECTIVES[:3], tie=0.03, difference=lambda a, b: None)


def test_reasons_say_what_is_best_and_what_beats() -> None:
    entries = [
        weighed("linear", 77.0, 0.2, 1.2, order=0),
        weighed("frozen", 76.5, 1.3, 11.7, order=0.5),
        weighed("student", 81.8, 1.2, 10.0, order=1),
        weighed("reference", 82.9, 6.1, 91.3, order=100),
    ]
    members, (frozen,) = frontier(entries)
    assert [m["best_in"] for m in members] == [["latency_ms", "size_mb"], [], ["quality"]]
    assert members[0]["reason"] == "It has the lowest latency and the smallest size of all that were measured."
    assert members[1]["reason"] == "No other is at least as good in quality, latency and size together."
    assert frozen["by"] == "linear"
    assert "77 instead of 76.5 points, 0.2 instead of 1.3 ms" in frozen["reason"]


def test_nothing_measured_gives_nothing() -> None:
    assert frontier([]) == ([], [])


def test_a_value_known_exactly_has_no_interval() -> None:
    (only,), _ = frontier([weighed("only", (80.0, 78.0, 82.0), 1.0, 10.0)])
    assert only["values"]["size_mb"] == {"value": 10.0, "ci95": None}
    assert only["values"]["quality"] == {"value": 80.0, "ci95": [78.0, 82.0]}

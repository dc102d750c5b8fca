import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.data.near_join import join
from lighten.data.near_pairs import Duplicates
from lighten.errors import InputError


def duplicates(rows, pairs, threshold=0.5, floor=0.4, node=None):
    pairs = sorted(pairs)
    left, right, scores = zip(*pairs, strict=True) if pairs else ((), (), ())
    node = np.arange(rows) if node is None else np.array(node)
    return Duplicates(node, np.array(left, int), np.array(right, int), np.array(scores, float), threshold, floor)


EDGES = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda e: e[0] < e[1]), max_size=14)


@given(EDGES)
def test_union_find_agrees_with_walking_the_graph(edges):
    groups = join([a for a, _ in edges], [b for _, b in edges])
    seen = set()
    expected = []
    for start in sorted({row for edge in edges for row in edge}):
        if start in seen:
            continue
        reached, todo = {start}, [start]
        while todo:
            row = todo.pop()
            for a, b in edges:
                for near in {a: [b], b: [a]}.get(row, []):
                    if near not in reached:
                        reached.add(near)
                        todo.append(near)
        seen |= reached
        expected.append(sorted(reached))
    assert groups == expected


@given(EDGES, st.permutations(range(12)))
def test_no_two_kept_rows_are_alike_and_each_dropped_one_has_a_kept_twin(edges, order):
    pairs = [(a, b, 0.9) for a, b in set(edges)]
    causes = duplicates(12, pairs).causes(order)
    kept = set(range(12)) - set(causes)
    known = {(a, b) for a, b, _ in pairs}
    assert not any(a in kept and b in kept for a, b in known)
    for row, (twin, _) in causes.items():
        assert twin in kept and (min(row, twin), max(row, twin)) in known and order[twin] < order[row]


def test_a_threshold_can_be_moved():
    result = duplicates(4, [(0, 1, 0.45), (1, 2, 0.6), (2, 3, 0.9)])
    assert result.clusters() == [[1, 2, 3]]
    assert result.at(0.4).clusters() == [[0, 1, 2, 3]]
    assert result.at(0.8).pairs() == [(2, 3, 0.9)]
    assert result.at(0.95).pairs() == []
    assert result.at(0.8).at(0.5).pairs() == result.pairs()
    assert result.sweep() == {f"{n / 20:.2f}": {8: 2, 9: 2, 10: 1}.get(n, 1 if n <= 18 else 0) for n in range(8, 21)}
    for threshold in (0.39, 1.1, -1):
        with pytest.raises(InputError, match=r"from 0\.4"):
            result.at(threshold)


def test_a_chain_drops_only_what_is_like_a_kept_row():
    result = duplicates(3, [(0, 1, 0.7), (1, 2, 0.7)])
    assert result.clusters() == [[0, 1, 2]]
    assert result.causes() == {1: (0, 0.7)}
    assert result.causes(order=[1, 0, 2]) == {0: (1, 0.7), 2: (1, 0.7)}


def test_copies_are_stored_once_and_count_as_rows():
    result = duplicates(5, [(0, 3, 0.8)], node=[0, 0, 2, 3, 3])
    assert result.pairs() == [(0, 1, 1.0), (3, 4, 1.0), (0, 3, 0.8)]
    assert result.clusters() == [[0, 1, 3, 4]]
    assert result.causes() == {1: (0, 1.0), 3: (0, 0.8), 4: (0, 0.8)}
    assert result.causes(order=[4, 3, 2, 1, 0]) == {3: (4, 1.0), 1: (4, 0.8), 0: (4, 0.8)}


def test_rows_of_another_class_stay_and_are_counted():
    result = duplicates(5, [(0, 3, 0.8)], node=[0, 0, 2, 3, 3])
    classes = ["x", "y", "x", "x", "y"]
    assert result.causes(classes=classes) == {3: (0, 0.8), 4: (1, 0.8)}
    assert result.conflicts(classes) == [(0, 1, 1.0), (1, 0, 1.0), (3, 4, 1.0), (4, 3, 1.0)]
    assert result.conflicts(["x"] * 5) == []


def test_twins_across_a_reference():
    result = duplicates(6, [(0, 3, 0.8), (2, 4, 0.9)], node=[0, 0, 2, 3, 4, 2])
    reference = np.array([False, False, False, True, False, True])
    assert result.across(reference) == {0: (3, 0.8), 1: (3, 0.8), 2: (5, 1.0), 4: (5, 0.9)}
    assert result.across(~reference)[3] == (0, 0.8)


def test_pairs_are_written_with_their_scores(tmp_path):
    file = duplicates(3, [(0, 1, 0.45), (1, 2, 0.6)]).write(tmp_path / "new", ["r2", "r3", "r4"])
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert file.name == "duplicates.jsonl"
    assert lines == [{"rows": ["r3", "r4"], "score": 0.6}, {"rows": ["r2", "r3"], "score": 0.45}]

"""From pairs to groups."""

from __future__ import annotations

from collections.abc import Sequence


def join(left: Sequence[int], right: Sequence[int]) -> list[list[int]]:
    """Return the connected groups of rows, by union-find; groups and rows in them are sorted."""
    parent: dict[int, int] = {}

    def root(row: int) -> int:
        while parent.setdefault(row, row) != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for a, b in zip(left, right, strict=True):
        first, second = root(a), root(b)
        parent[max(first, second)] = min(first, second)
    groups: dict[int, list[int]] = {}
    for row in sorted(parent):
        groups.setdefault(root(row), []).append(row)
    return [groups[row] for row in sorted(groups)]

"""Which layers of a teacher a student keeps."""

from __future__ import annotations

from typing import Literal

LayerMap = Literal["first", "last", "spread", "alternate", "ends"]
STATIC_MAPS: tuple[LayerMap, ...] = ("spread", "alternate", "ends", "first", "last")


def layer_map(total: int, count: int, kind: LayerMap) -> list[int]:
    """Return which layers of a teacher a student keeps, ascending.

    ``spread`` takes the last layer of each of `count` equal blocks (every second of six: 1, 3, 5), as
    TinyBERT maps layers; ``alternate`` the first of each (0, 2, 4), ``ends`` the first layer, the last one and evenly
    between (0, 2, 5; of one layer the last).

    Raises:
        ValueError: `count` is not between 1 and `total`.
    """
    if not 1 <= count <= total:
        raise ValueError(f"layers must be between 1 and {total} but got {count}")
    if kind == "first":
        return list(range(count))
    if kind == "last":
        return list(range(total - count, total))
    if kind == "alternate":
        return [i * total // count for i in range(count)]
    if kind == "ends" and count > 1:
        return [i * (total - 1) // (count - 1) for i in range(count)]
    return [round((i + 1) * total / count) - 1 for i in range(count)]

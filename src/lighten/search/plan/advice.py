"""What a budget would take: how far each limit on cost can be met, by which shapes, and which limits exclude all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lighten.models.layout import Shape
from lighten.search.plan.points import Costed, Costs
from lighten.workshop.limits import COSTS, UNITS, check

FEWEST_PIECES = 200
"""Special tokens and single characters stay in any vocabulary."""

SizeOf = Callable[[Shape, bool], float]
"""Returns the megabytes of a shape, int8 or not, with a tokenizer of its number of pieces."""


def limits_of(costs: Costs) -> list[dict[str, Any]]:
    """Return a row per limit on cost that the budget sets.

    Returns:
        ``name``, ``limit``, ``unit``; ``best``, the value that comes farthest, and ``by``, whose it is; ``excluded``
        of the ``considered`` models, the reference among them; ``reachable`` alone, the other limits left out.
    """
    rows = []
    for name in _limited(costs):
        limit, reached = getattr(costs.budget, name), costs.reach(name)
        met = [one for one in costs.all.values() if _meets(costs, one, name)]
        rows.append(
            {
                "name": name,
                "limit": limit,
                "unit": UNITS[name],
                "best": None if reached is None else round(reached[1], 4),
                "by": None if reached is None else reached[0].name,
                "excluded": len(costs.all) - len(met),
                "considered": len(costs.all),
                "reachable": bool(met),
            }
        )
    return rows


def advice(costs: Costs, size_of: SizeOf, process_mb: float | None = None) -> list[str]:
    """Return in sentences what each limit on cost takes.

    Args:
        costs: the space.
        size_of: predicts sizes.
        process_mb: peak memory of a process that serves nothing yet, where it is known.
    """
    said = []
    for name in _limited(costs):
        limit = getattr(costs.budget, name)
        if all(_meets(costs, one, name) for one in _students(costs) or _all(costs)):
            continue
        deepest = [_deepest(costs, name, int8) for int8 in (True, False)]
        found = [text for text in deepest if text]
        if found:
            said.append(f"{name} {limit:g} needs {' or '.join(found)}")
        elif (reached := costs.reach(name)) is not None and not _meets(costs, reached[0], name):
            one, value = reached
            least = "at most" if name == "throughput_per_s" else "at least"
            said.append(
                f"{name} {limit:g} is out of reach: {one.name} comes nearest with {value:.3g} {UNITS[name]}; "
                f"the limit would have to be {least} that"
            )
        if name == "size_mb" and not found:
            said += _pieces(costs, limit, size_of)
        if name == "peak_memory_mb" and process_mb is not None and process_mb > limit:
            said.append(f"peak_memory_mb {limit:g}: ONNX Runtime and Python alone take about {process_mb:.0f} MB")
    return said + _together(costs)


def _deepest(costs: Costs, name: str, int8: bool) -> str:
    """Return up to how many layers a precision holds one limit at full width, and how many narrower ones."""
    everyone = [one for one in _students(costs) if one.int8 == int8]
    held = [one for one in everyone if _meets(costs, one, name)]
    if not held or len(held) == len(everyone):
        return _precision(int8) if held else ""
    shapes = [one.shape for one in held if one.shape is not None]
    full = [shape.layers for shape in shapes if _narrower(shape, costs.full) == ""]
    deepest = max(shapes, key=lambda shape: (shape.layers, shape.encoder_parameters))
    narrow = _narrower(deepest, costs.full)
    if not full:
        return f"at most {_layers(deepest.layers)} in {_precision(int8)} with {narrow}"
    more = f" ({_layers(deepest.layers)} with {narrow})" if deepest.layers > max(full) else ""
    return f"at most {_layers(max(full))} in {_precision(int8)}{more}"


def _layers(count: int) -> str:
    return f"{count} layer{'s' if count > 1 else ''}"


def _narrower(shape: Shape, full: Shape) -> str:
    """Return in words what of a shape is narrower than the reference; nothing where nothing is."""
    parts = [
        f"{words} {getattr(shape, name)}"
        for name, words in (("hidden", "hidden width"), ("intermediate", "feed-forward width"))
        if getattr(shape, name) < getattr(full, name)
    ]
    return " and ".join(parts)


def _pieces(costs: Costs, limit: float, size_of: SizeOf) -> list[str]:
    """Return how many pieces the vocabulary may have for the smallest shape to keep the limit on size."""
    known = _students(costs)
    if not known:
        return []
    smallest = min(known, key=lambda one: one.metrics["size_mb"])
    assert smallest.shape is not None
    pieces = most_pieces(smallest.shape, smallest.int8, limit, size_of)
    if pieces is None:
        return [f"size_mb {limit:g}: no vocabulary is small enough, not even for {smallest.name}"]
    return [
        f"size_mb {limit:g} would need a vocabulary of at most {pieces:,} pieces for {smallest.name}, "
        f"where now there are {smallest.shape.vocabulary:,}"
    ]


def most_pieces(shape: Shape, int8: bool, limit: float, size_of: SizeOf) -> int | None:
    """Return the largest vocabulary with which a shape keeps a limit on size; None where none is small enough."""
    low, high = FEWEST_PIECES, max(shape.vocabulary, FEWEST_PIECES)
    if size_of(shape.with_(vocabulary=low), int8) > limit:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if size_of(shape.with_(vocabulary=middle), int8) <= limit:
            low = middle
        else:
            high = middle
    return high if size_of(shape.with_(vocabulary=high), int8) <= limit else low


def _together(costs: Costs) -> list[str]:
    """Return what limits do together that none does alone."""
    names = _limited(costs)
    alone = [name for name in names if not any(_meets(costs, one, name) for one in _all(costs))]
    if alone or any(one.fits(costs.budget) for one in _all(costs)):
        return []
    said = []
    for name in names:
        others = [one for one in _all(costs) if all(_meets(costs, one, o) for o in names if o != name)]
        values = [(value, one) for one in others if (value := one.value(costs.budget, name)) is not None]
        if values:
            pick = max if name == "throughput_per_s" else min
            value, one = pick(values, key=lambda pair: pair[0])
            said.append(f"with the other limits as they are, {name} would have to be {value:.3g} ({one.name})")
    return ["each limit can be met, but not all by one model", *said]


def _limited(costs: Costs) -> Sequence[str]:
    return [name for name in COSTS if getattr(costs.budget, name) is not None]


def _all(costs: Costs) -> Sequence[Costed]:
    return list(costs.all.values())


def _students(costs: Costs) -> Sequence[Costed]:
    return [one for one in costs.all.values() if one.point is not None]


def _meets(costs: Costs, one: Costed, name: str) -> bool:
    return check(name, getattr(costs.budget, name), one.value(costs.budget, name)).met


def _precision(int8: bool) -> str:
    return "int8" if int8 else "fp32"

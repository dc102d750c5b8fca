"""Quality against latency: where every candidate stands, which ones nothing else beats, and where the limits are."""

from __future__ import annotations

from typing import Any

from lighten.report.axis import Axis, linear, logarithmic
from lighten.report.limits import percentile_of, value_of
from lighten.report.marks import radius, size_legend, tip, with_labels
from lighten.report.words import number, points


def scatter(result: dict[str, Any], width: int = 860, height: int = 440) -> dict[str, Any] | None:
    """Return the places of everything on the plot, in pixels; None when no candidate has both quantities.

    Candidates are drawn at their quality on the split they were chosen on, so that all are comparable. The sealed
    test qualities of the reference and the chosen model are separate marks. Shapes that were never trained have a
    latency and no quality: they lie on the horizontal axis.
    """
    everyone, percentile = _everyone(result), percentile_of(result)
    shown = [item for item in everyone if _place(item) is not None]
    if not shown:
        return None
    split = _main_split(shown)
    on_split = [item for item in shown if _quality(item)["split"] == split]
    on_split += [item for item in _on_validation(result, on_split) if split == "validation"]
    untrained = [item for item in everyone if _place(item) is None and item["time"]]
    sealed = [item for item in _timed([result["reference"], result["chosen"]], result) if _sealed(item, split)]
    floor, bound = _floor(result, on_split), result["budget"].get("latency_ms")

    times = [item["time"] for item in [*shown, *untrained]] + [bound]
    heights = [end for item in [*on_split, *sealed] for end in _ends(item)] + [floor]
    x = logarithmic([v for v in times if v], 52, width - 18)
    y = linear([v for v in heights if v is not None], height - 64, 18)
    sizes = [size for item in on_split if (size := value_of(item, "size_mb"))]
    most = 17.0 if width > 600 else 12.0
    members = _members(result, on_split)
    marks = [
        {
            **_mark(item, x, y, result),
            "size": radius(value_of(item, "size_mb"), max(sizes, default=0.0), most),
            "member": item["name"] in members,
        }
        for item in on_split
    ]
    marks.sort(key=lambda mark: -mark["size"])  # small ones stay visible on large ones
    return {
        "width": width,
        "height": height,
        "left": x.start,
        "right": x.end,
        "top": y.end,
        "bottom": y.start,
        "split": split,
        "x_ticks": x.ticks(9 if width > 600 else 6),
        "y_ticks": y.ticks(7),
        "points": with_labels(marks, x, y),
        "sizes": size_legend(sizes, most),
        "percentile": percentile,
        "hollow": [{"x": x.at(item["time"]), "tip": tip(item)} for item in untrained],
        "sealed": [_mark(item, x, y, result) for item in sealed],
        "frontier": _frontier_path(on_split, x, y),
        "limit_x": x.at(bound) if bound else None,
        "limit_y": y.at(floor) if floor is not None else None,
        "limit_x_text": f"{number(bound)} ms" if bound else "",
        "limit_y_text": f"{points(floor)} points" if floor is not None else "",
        "rungs": sorted({item["rung"] for item in on_split}),
    }


def frontier(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the candidates that no other beats in both latency and quality, fastest first."""
    best: list[dict[str, Any]] = []
    for item in sorted(items, key=lambda one: (_time(one), -(value_of(one, "quality") or 0))):
        if not best or (value_of(item, "quality") or 0) > (value_of(best[-1], "quality") or 0):
            best.append(item)
    return best


def _everyone(result: dict[str, Any]) -> list[dict[str, Any]]:
    named = {item["name"]: item for item in [result["reference"], result["chosen"]] if item}
    named.update({item["name"]: item for item in result["candidates"]})
    return _timed(list(named.values()), result)


def _timed(items: list[dict[str, Any] | None], result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the models that there are, each with ``time``: its latency as the budget limits it."""
    percentile = percentile_of(result)
    return [{**item, "time": value_of(item, "latency_ms", percentile)} for item in items if item]


def _time(item: dict[str, Any]) -> float:
    return float(item.get("time") or value_of(item, "latency_ms") or 0.0)


def _members(result: dict[str, Any], on_split: list[dict[str, Any]]) -> set[str]:
    """Return the names on the frontier of all quantities; of results without one, of latency and quality."""
    known = result.get("frontier") or frontier(on_split)
    return {item["name"] for item in known}


def _quality(item: dict[str, Any]) -> dict[str, Any]:
    quality: dict[str, Any] = item["metrics"].get("quality") or {}
    return quality


def _place(item: dict[str, Any]) -> tuple[float, float] | None:
    time, quality = _time(item), value_of(item, "quality")
    return None if not time or quality is None else (time, quality)


def _main_split(items: list[dict[str, Any]]) -> str:
    splits = [_quality(item)["split"] for item in items]
    return max(set(splits), key=lambda name: (splits.count(name), name))


def _sealed(item: dict[str, Any], split: str) -> bool:
    return split != "test" and _place(item) is not None and _quality(item)["split"] == "test"


def _ends(item: dict[str, Any]) -> list[float]:
    quality = _quality(item)
    return [quality["value"], *(quality.get("ci95") or [])]


def _on_validation(result: dict[str, Any], known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return reference and chosen model at their validation quality, where only that on test is known."""
    weighed = [*(result.get("frontier") or []), *(result.get("dominated") or [])]
    there: dict[str, dict[str, Any]] = {one["name"]: dict(one["values"]["quality"]) for one in weighed}
    reference, chosen = ((result[who] or {}).get("name") for who in ("reference", "chosen"))
    for item in known:
        if _quality(item).get("delta") is not None and reference:
            there.setdefault(reference, {"value": _quality(item)["value"] - _quality(item)["delta"]})
            break
    found = (result.get("selection") or {}).get("quality_validation")
    if found is not None and chosen:
        there.setdefault(chosen, {"value": found})
    names = {item["name"] for item in known}
    return [
        {**item, "metrics": {**item["metrics"], "quality": {**there[item["name"]], "split": "validation"}}}
        for item in _timed([result["reference"], result["chosen"]], result)
        if item["name"] in there and item["name"] not in names and item["time"]
    ]


def _floor(result: dict[str, Any], on_split: list[dict[str, Any]]) -> float | None:
    """Return the quality floor in points on the split shown; a relative one needs the reference there."""
    bound: float | None = result["budget"].get("quality")
    if bound is None or bound >= 0:
        return bound
    for item in on_split:
        if item["rung"] == "reference":
            return float(_quality(item)["value"]) + bound
    return None


def _mark(item: dict[str, Any], x: Axis, y: Axis, result: dict[str, Any]) -> dict[str, Any]:
    time, quality = _place(item) or (0.0, 0.0)
    chosen = bool(result["chosen"]) and item["name"] == result["chosen"]["name"]
    spread = item["metrics"]["latency_ms"].get("ci95") or []
    # The interval may be that of the median while the limit binds on p95: draw it where it holds the mark.
    wide = [x.at(end) for end in spread] if spread and spread[0] <= time <= spread[1] else None
    tall = [y.at(end) for end in _quality(item).get("ci95") or []]
    return {
        "name": item["name"],
        "rung": item["rung"],
        "x": x.at(time),
        "y": y.at(quality),
        "wide": wide,
        "tall": tall,
        "chosen": chosen,
        "tip": tip(item),
        "order": 0 if chosen else 1 if item["rung"] == "reference" else 2,
        "label": None,
    }


def _frontier_path(items: list[dict[str, Any]], x: Axis, y: Axis) -> str:
    places = [_place(item) or (0.0, 0.0) for item in frontier(items)]
    path = ""
    for time, quality in places:
        path += f"M{x.at(time)} {y.at(quality)}" if not path else f"H{x.at(time)}V{y.at(quality)}"
    return f"{path}H{x.end}" if path else ""


def describe(plot: dict[str, Any]) -> str:
    """Return what the plot shows in a sentence, for those who cannot see it."""
    names = "; ".join(mark["tip"].replace("\n", ", ") for mark in plot["points"])
    hollow = f" {len(plot['hollow'])} shapes were costed and never trained." if plot["hollow"] else ""
    return f"Quality against latency of {len(plot['points'])} models on the {plot['split']} split: {names}.{hollow}"

"""Training curves: loss, learning rate and validation quality against time."""

from __future__ import annotations

from typing import Any

from lighten.report.axis import Axis, linear
from lighten.report.words import number, points


def curves(training: list[dict[str, Any]], width: int = 410, height: int = 250) -> list[dict[str, Any]]:
    """Return one plot per training: a panel with loss and validation quality above a strip with the learning rate."""
    return [plot for plot in (_plot(one, width, height) for one in training) if plot]


def _plot(training: dict[str, Any], width: int, height: int) -> dict[str, Any] | None:
    history = [row for row in training["history"] if row.get("seconds") is not None or row.get("step") is not None]
    if len(history) < 2:
        return None
    timed = all(row.get("seconds") is not None for row in history)
    along = [float(row["seconds"] if timed else row["step"]) for row in history]
    x = Axis(min(along), max(along) or 1.0, 44, width - 44)
    panels = {
        "loss": _line(history, along, "loss", x, height - 84, 14),
        "validation": _line(history, along, "validation", x, height - 84, 14),
        "lr": _line(history, along, "lr", x, height - 30, height - 66),
    }
    losses = [row["loss"] for row in history if row.get("loss") is not None]
    valid = [row["validation"] for row in history if row.get("validation") is not None]
    said = f"Training of {training['name']}:"
    said += f" loss from {number(losses[0])} to {number(losses[-1])}." if losses else ""
    if valid and training.get("valid_name"):
        said += f" Validation, {training['valid_name']}: from {number(valid[0])} to {number(valid[-1])}."
    elif valid:
        said += f" Validation up to {points(max(valid))} points."
    return {
        "name": training["name"],
        "facts": training,
        "width": width,
        "height": height,
        "left": x.start,
        "right": x.end,
        "bottom": height - 84,
        "x_ticks": x.ticks(6),
        "x_unit": "seconds" if timed else "steps",
        "alt": said,
        **panels,
    }


def _line(
    history: list[dict[str, Any]], along: list[float], key: str, x: Axis, bottom: float, top: float
) -> dict[str, Any] | None:
    known = [(place, row[key]) for place, row in zip(along, history, strict=True) if row.get(key) is not None]
    if not known:
        return None
    y = linear([value for _, value in known], bottom, top)
    dots = [{"x": x.at(place), "y": y.at(value), "text": number(value)} for place, value in known]
    return {
        "path": "M" + "L".join(f"{dot['x']} {dot['y']}" for dot in dots),
        "dots": dots,
        "ticks": y.ticks(4),
        "last": number(known[-1][1]),
    }

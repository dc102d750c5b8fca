"""What the choice knew of every measured model: its numbers on validation, not those of the proof."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lighten.report.limits import percentile_of, value_of
from lighten.workshop.limits import COSTS, Limit, check

CONFIDENCE, TIE = 0.9, 0.03
"""Of results that do not say by which numbers the choice was made: it was made by these."""


@dataclass(frozen=True)
class Facts:
    """A measured model as the choice saw it.

    Attributes:
        quality: points on validation.
        delta: points against the reference there.
        chance: that the quality floor holds; None where neither it nor an interval is known.
        costs: latency (of the percentile that is limited), size, memory and throughput.
        order: position from the simplest up, where it is known.
        classes: points of recall on validation by class, with ``delta`` to the reference's, where they were asked for.
    """

    name: str
    rung: str
    quality: float | None
    delta: float | None
    chance: float | None
    costs: dict[str, float | None]
    order: float | None
    classes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON."""
        found = asdict(self)
        return {**found, "costs": {name: value for name, value in self.costs.items() if value is not None}}

    def cost_limits(self, budget: Mapping[str, Any]) -> list[Limit]:
        """Return the limits on cost beside these costs."""
        return [check(name, budget[name], self.costs[name]) for name in COSTS if budget.get(name) is not None]

    def floor(self, budget: Mapping[str, Any]) -> Limit | None:
        """Return the quality floor beside this quality; None where the budget has none."""
        bound = budget.get("quality")
        return None if bound is None else check("quality", bound, self.delta if bound < 0 else self.quality)

    def missed_classes(self, budget: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the classes whose own floor is missed, each with ``label``, ``floor`` and ``value``."""
        floors = budget.get("quality_per_class")
        if floors is None:
            return []
        wanted = floors if isinstance(floors, Mapping) else dict.fromkeys(self.classes, floors)
        found = []
        for label, floor in wanted.items():
            value = self.classes.get(label, {}).get("delta" if floor < 0 else "value")
            if value is not None and value < floor:
                found.append({"label": label, "floor": floor, "value": value})
        return found


def facts_of(result: Mapping[str, Any]) -> dict[str, Facts]:
    """Return the facts of every measured model by name, the reference included."""
    weighed = {entry["name"]: entry["values"] for entry in [*result.get("frontier", []), *result.get("dominated", [])]}
    measured = {c["name"]: c for c in result["candidates"] if c["status"] == "measured"}
    for one in (result["reference"], result["chosen"]):
        if one:
            measured.setdefault(one["name"], one)
    return {name: _facts(one, weighed.get(name, {}), result) for name, one in measured.items()}


def _facts(candidate: Mapping[str, Any], weighed: Mapping[str, Any], result: Mapping[str, Any]) -> Facts:
    quality = candidate["metrics"].get("quality") or {}
    how, chosen = result.get("selection") or {}, result["chosen"] or {}
    value, delta = quality.get("value"), quality.get("delta")
    chance = candidate.get("chance_of_floor")
    if quality.get("split") == "test":  # the proof's numbers replaced those of the choice
        value = delta = None
        if candidate["name"] == chosen.get("name"):
            value, delta = how.get("quality_validation"), how.get("delta_validation")
            chance = how.get("chance_of_floor", chance)
    if candidate["rung"] == "reference":
        value, delta = value if value is not None else _reference_quality(result), 0.0
    value = weighed.get("quality", {}).get("value", value)
    bound = result["budget"].get("quality")
    if chance is None and bound is not None:
        chance = _chance(bound, value, delta, quality)
    percentile = percentile_of(result)
    costs = {  # those of one session of timing, where they are known
        name: weighed.get(name, {}).get("value", value_of(dict(candidate), name, percentile)) for name in COSTS
    }
    classes = quality.get("per_class") if quality.get("split") == "validation" else None
    order = candidate.get("order")
    return Facts(candidate["name"], candidate["rung"], value, delta, chance, costs, order, dict(classes or {}))


def _reference_quality(result: Mapping[str, Any]) -> float | None:
    """Return the reference's points on validation, from any model that was compared with it there."""
    for one in result["candidates"]:
        quality = one["metrics"].get("quality") or {}
        if quality.get("split") == "validation" and quality.get("delta") is not None:
            return float(quality["value"] - quality["delta"])
    return None


def _chance(bound: float, value: float | None, delta: float | None, quality: Mapping[str, Any]) -> float | None:
    """Return about the chance that the floor holds, for results that do not say it: a normal one from the interval."""
    found, ends = (delta, quality.get("delta_ci95")) if bound < 0 else (value, quality.get("ci95"))
    if found is None:
        return None
    spread = (ends[1] - ends[0]) / (2 * 1.96) if ends else 0.0
    if spread <= 0:
        return float(found >= bound)
    return 0.5 * (1 + math.erf((found - bound) / (spread * math.sqrt(2))))


def demoted_in(folder: Path) -> list[str]:
    """Return the models that a build set aside because they were over a limit when measured again.

    Nothing where there is no journal. It is only read: a build may be writing to it.
    """
    try:
        lines = (folder / "journal.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    names: list[str] = []
    delivered: list[str] | None = None
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a line torn by a kill
        if not isinstance(event, dict):
            continue
        if event.get("event") == "started":
            names = []  # another attempt, maybe with another budget
        elif event.get("event") == "demoted":
            names.append(str(event.get("candidate")))
        elif event.get("event") == "finished":
            delivered = names  # the result that lies there is this attempt's, whatever was begun afterwards
    return names if delivered is None else delivered

"""Which candidates are worth having: those that no other beats in everything, and which of them are alike.

A candidate is dominated when another is at least as good in every objective and better in one (Pareto dominance).
Estimates decide, intervals only say which survivors measurement cannot tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lighten.measure.statistics import Interval
from lighten.pipeline.result import Dominated, Estimate, Member


@dataclass(frozen=True)
class Objective:
    """One quantity that candidates are weighed by.

    Attributes:
        name: its key among a candidate's metrics.
        noun: what it is called.
        best: what the best candidate in it has.
        unit: of its values.
        more: whether more of it is better.
    """

    name: str
    noun: str
    best: str
    unit: str
    more: bool = False

    def cost(self, value: float) -> float:
        """Return the value turned so that less is better."""
        return -value if self.more else value


OBJECTIVES = (
    Objective("quality", "quality", "the best quality", "points", more=True),
    Objective("latency_ms", "latency", "the lowest latency", "ms"),
    Objective("size_mb", "size", "the smallest size", "MB"),
    Objective("peak_memory_mb", "memory", "the least memory", "MB"),
)


@dataclass(frozen=True)
class Weighed:
    """A candidate as its estimates.

    Attributes:
        name: of the candidate.
        values: estimate and interval by objective; a value known exactly is its own interval.
        order: position from the simplest up.
    """

    name: str
    values: Mapping[str, Interval]
    order: float = 0.0


Difference = Callable[[str, str], Interval | None]
"""Quality of the second candidate minus that of the first, on the same examples; None where it is not known."""


def common_objectives(candidates: Sequence[Weighed]) -> list[Objective]:
    """Return the objectives that every candidate has a value of: only these make dominance an order."""
    return [o for o in OBJECTIVES if candidates and all(o.name in c.values for c in candidates)]


def dominates(first: Weighed, second: Weighed, objectives: Sequence[Objective]) -> bool:
    """Return whether the first is at least as good as the second in every objective, and better in one."""
    gaps = [o.cost(second.values[o.name].value) - o.cost(first.values[o.name].value) for o in objectives]
    return all(gap >= 0 for gap in gaps) and any(gap > 0 for gap in gaps)


def alike(
    first: Weighed,
    second: Weighed,
    objectives: Sequence[Objective],
    tie: float = 0.0,
    difference: Difference | None = None,
) -> bool:
    """Return whether measurement cannot tell two candidates apart in any objective.

    Args:
        first: one.
        second: the other.
        objectives: to compare.
        tie: costs closer than this share count as equal; wider intervals count as they are.
        difference: paired difference of quality, sharper than comparing two intervals.
    """
    return all(_alike_in(o, first, second, tie, difference) for o in objectives)


def _alike_in(
    objective: Objective, first: Weighed, second: Weighed, tie: float, difference: Difference | None
) -> bool:
    one, other = first.values[objective.name], second.values[objective.name]
    if objective.name == "quality":
        paired = difference(first.name, second.name) if difference else None
        if paired is not None:
            return paired.low <= 0 <= paired.high
    elif abs(one.value - other.value) <= tie * min(abs(one.value), abs(other.value)):
        return True
    return one.low <= other.high and other.low <= one.high


def frontier(
    candidates: Sequence[Weighed], tie: float = 0.0, difference: Difference | None = None
) -> tuple[list[Member], list[Dominated]]:
    """Split candidates into those nothing dominates and those something does.

    Args:
        candidates: with different names.
        tie: as for `alike`.
        difference: as for `alike`.

    Returns:
        Two lists of entries of result.json, the simplest first: the frontier's members, and the others, each with a
        member that dominates it.
    """
    objectives = common_objectives(candidates)
    ordered = sorted(candidates, key=lambda c: (c.order, c.name))
    beaten = {c.name: [other for other in ordered if dominates(other, c, objectives)] for c in ordered}
    members = [c for c in ordered if not beaten[c.name]]
    best = {o.name: min((o.cost(c.values[o.name].value) for c in members), default=0.0) for o in objectives}
    kept: list[Member] = []
    for member in members:
        ties = [m for m in members if m is not member and alike(member, m, objectives, tie, difference)]
        simplest = min([member, *ties], key=lambda c: c.order)  # the member itself where orders are equal
        best_in = [o for o in objectives if o.cost(member.values[o.name].value) == best[o.name]]
        kept.append(
            {
                "name": member.name,
                "values": _values(member, objectives),
                "reason": _why_kept(best_in, objectives),
                "best_in": [o.name for o in best_in],
                "ties": [m.name for m in ties],
                "simpler": None if simplest is member else simplest.name,
            }
        )
    # Whoever dominates is dominated by a member at the latest, so there is one among them.
    lost: list[Dominated] = []
    for candidate in (c for c in ordered if beaten[c.name]):
        winner = next(other for other in beaten[candidate.name] if not beaten[other.name])
        lost.append(
            {
                "name": candidate.name,
                "values": _values(candidate, objectives),
                "reason": _why_lost(candidate, winner, objectives),
                "by": winner.name,
            }
        )
    return kept, lost


def _values(candidate: Weighed, objectives: Sequence[Objective]) -> dict[str, Estimate]:
    values: dict[str, Estimate] = {}
    for objective in objectives:
        value, low, high = candidate.values[objective.name]
        known = [round(low, 4), round(high, 4)] if low < high else None
        values[objective.name] = {"value": round(value, 4), "ci95": known}
    return values


def _why_kept(best_in: Sequence[Objective], objectives: Sequence[Objective]) -> str:
    if best_in:
        return f"It has {_listed([o.best for o in best_in])} of all that were measured."
    return f"No other is at least as good in {_listed([o.noun for o in objectives])} together."


def _why_lost(candidate: Weighed, winner: Weighed, objectives: Sequence[Objective]) -> str:
    said = []
    for o in objectives:
        own, other = candidate.values[o.name].value, winner.values[o.name].value
        said.append(f"{own:.3g} {o.unit}" if own == other else f"{other:.3g} instead of {own:.3g} {o.unit}")
    return f"{winner.name} is better in everything or equal: {', '.join(said)}."


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

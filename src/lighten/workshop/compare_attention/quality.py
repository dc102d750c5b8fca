"""At which lengths agreement with full attention is judged, on how many texts, and what comes out as rows.

Where full attention was left out for time or memory there is nothing to agree with, and nothing is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any, Protocol

from lighten.errors import InputError, LightenError
from lighten.workshop.compare_attention.rounds import MEMORY_SHARE, Point, Rounds
from lighten.workshop.compare_attention.sample import Drawn

MOST_TEXTS = 8
"""Of each length."""
MOST_TOKENS = 65_536
"""Of all texts of a length together: their states are kept while the other kinds run."""
TIME_SHARE = 0.25
"""Of the time that is left, for the texts of one length after the first one."""
WITHOUT = ("full", "identity")
"""Nothing is judged for these: what the others are compared with, and what attends to nothing."""
COLUMNS = ("agreement", "agreement_low", "agreement_high", "first_cosine", "difference", "texts", "not_judged")

Ask = Callable[[list[str], Drawn], dict[str, Any]]
"""Compares kinds on texts: the answer of `lighten.workshop.compare_attention.agreement.agreement`."""


class Sample(Protocol):
    """Where texts come from."""

    @property
    def source(self) -> str | None:
        """What the texts are called; None for random tokens."""

    def draw(self, tokens: int, count: int) -> Drawn:
        """Return up to so many texts of so many tokens."""


def left_out(why: str) -> dict[str, Any]:
    """Return the part of the document where no agreement can be judged."""
    return {"weights": None, "texts": None, "positions": None, "left_out": why, "lengths": [], "rows": []}


def judged(plan: Rounds, sample: Sample, ask: Ask, weights: str, positions: int) -> dict[str, Any]:
    """Judge all kinds at all lengths where full attention was measured.

    Args:
        plan: after its first round; its clock goes on.
        sample: of the texts.
        ask: compares.
        weights: source of the model.
        positions: tokens that the model was made for.

    Returns:
        ``rows`` (one per kind and length, see `COLUMNS`), ``lengths`` (texts of each), and the conditions.
    """
    texts = {"source": sample.source, "kind": "random tokens" if sample.source is None else "rows"}
    found = left_out("") | {"weights": weights, "texts": texts, "positions": positions, "left_out": None}
    kinds = [kind for kind in plan.kinds if kind not in WITHOUT]
    if "full" not in plan.kinds or not kinds:
        return left_out("agreement is with full attention: name full, and what to compare with it, in --kinds")
    for tokens in plan.lengths:
        points = {kind: point for kind in ("full", *kinds) if (point := _measured(plan, kind, tokens))}
        here = [kind for kind in kinds if kind in points]
        why = "" if "full" in points else "full attention was not measured at this length"
        count, drawn = 0, Drawn([])
        if here and not why:
            count, why = _how_many(plan, tokens, list(points.values()))
        if count:
            drawn = sample.draw(tokens, count)
            why = "" if drawn.ids else f"the texts have fewer than {tokens:,} tokens altogether"
        answer: dict[str, Any] = {}
        if here and not why:
            try:
                answer = ask(here, drawn)
            except InputError as error:  # weights that fit no model of this shape: so at every length
                return left_out(str(error))
            except LightenError as error:
                why = f"failed: {error}"
            plan.told(plan.now() - plan.started)
        found["lengths"].append(
            {
                "tokens": tokens,
                "texts": len(drawn.ids) if answer else 0,
                "joined": drawn.joined if answer else 0,
                "first_other": _rounded(answer.get("first_other")),
            }
        )
        for kind in kinds:
            reason = why if kind in here else why or "not measured at this length"
            found["rows"].append(_row(kind, tokens, answer.get("kinds", {}).get(kind), reason))
    return found


def _measured(plan: Rounds, kind: str, tokens: int) -> Point | None:
    """Return a point of a kind at a length, one of forward alone where there is one."""
    points = (plan.points.get((kind, tokens, what)) for what in ("forward", "training"))
    return next((point for point in points if point is not None and point.seconds), None)


def _how_many(plan: Rounds, tokens: int, points: list[Point]) -> tuple[int, str]:
    """Return how many texts fit into time and memory; where none does, 0 and why."""
    shape = plan.shape
    each = sum(point.median for point in points)
    if plan.starting + each > plan.left:
        return 0, f"time: about {plan.starting + each:,.0f} s needed, {max(0.0, plan.left):,.0f} s left"
    extra = (plan.left * TIME_SHARE - plan.starting) / each if each > 0 else float(MOST_TEXTS)
    count = max(1, min(MOST_TEXTS, MOST_TOKENS // tokens, int(extra)))
    if plan.memory is None:
        return count, ""
    # The checkpoint's tensors lie beside the model's, and full attention's states beside those of the other kind.
    weights = (shape.encoder_parameters + (shape.vocabulary + tokens) * shape.hidden) * 4 / 1e6
    states = 2 * tokens * shape.hidden * 4 / 1e6
    need = max(point.peaks[0] for point in points) + weights
    room = int((MEMORY_SHARE * plan.memory - need) // states)
    if room < 1:
        need += states
        return 0, f"memory: about {need / 1000:,.1f} GB needed, the machine has {plan.memory / 1000:,.1f} GB"
    return min(count, room), ""


def _row(kind: str, tokens: int, one: Mapping[str, Any] | None, why: str) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": kind, "tokens": tokens, **dict.fromkeys(COLUMNS)}
    if one is None or "refused" in one:
        return row | {"not_judged": one["refused"] if one else why}
    values = one["agreement"]
    return row | {
        "agreement": _rounded(fmean(values)),
        "agreement_low": _rounded(min(values)),
        "agreement_high": _rounded(max(values)),
        "first_cosine": _rounded(fmean(one["first_cosine"])),
        "difference": _rounded(fmean(one["difference"])),
        "texts": len(values),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)

"""The rest of the explanation in sentences: limits, flips, time, what was not tried; as in `choice_words`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lighten.report.choice_words import COST_NAMES, cost_words, costs_words
from lighten.report.limits import AT_LEAST
from lighten.report.words import duration, limit_name, points, reading, reason, signed


def selection_words(selection: Mapping[str, Any], test_reads: int = 1) -> str:
    """Return how far validation flattered the winner: expected, and found on the sealed test.

    Args:
        selection: of the result.
        test_reads: models that have answered the sealed test.
    """
    there, sealed = selection.get("quality_validation"), selection.get("quality_test")
    if there is None or sealed is None:
        return ""
    test = f"the sealed test, {reading({'test_reads': test_reads})}"
    text = f"The chosen model has {points(there)} points on validation, {points(sealed)} on {test}."
    if selection.get("compared"):
        text += f" {selection['compared']} models were compared on validation"
        optimism = selection.get("expected_optimism")
        if optimism is not None:
            text += (
                f": the best of several looks better there than it is, here by an expected {optimism:.2f} points "
                f"(the same one wins in {selection['chosen_again']:.0%} of resampled validation sets)"
            )
        text += "."
    return text


def time_words(seconds: Mapping[str, Any]) -> str:
    """Return where the time went."""
    told = [f"{one['stage']} {duration(one['seconds'])} ({one['share']:.0%})" for one in seconds["by_stage"]]
    if seconds["elsewhere"] >= 1:
        told.append(f"outside of these or in earlier attempts {duration(seconds['elsewhere'])}")
    return f"{duration(seconds['total'])} in all: {', '.join(told)}." if told else duration(seconds["total"])


def untried_words(explained: Mapping[str, Any]) -> list[str]:
    """Return what was not trained, or failed, and why."""
    found = []
    for row in explained["untried"]:
        more = "; ..." if row["count"] > len(row["names"]) else ""
        what = f"{row['count']} shape{'s' if row['count'] != 1 else ''}"
        cost = row["reason"] in COST_NAMES
        why = f"over the limit on {COST_NAMES[row['reason']]}" if cost else _lower(reason(row["reason"]))
        found.append(f"{what}: {why} ({'; '.join(row['names'])}{more})")
    found += [f"{one['name']}: {_lower(reason(one['reason'] or 'failed'))}" for one in explained["failed"]]
    return found


def flip_words(flips: Mapping[str, Any]) -> str:
    """Return how many answers changed."""
    n, fixed, broken, other = flips["n"], flips["fixed"], flips["broken"], flips["other"]
    same = n - fixed - broken - other
    text = f"Of {n:,} texts of the sealed test both models answer {same:,} alike ({same / n:.1%}). " if n else ""
    text += f"{fixed:,} that the reference has wrong are right now, {broken:,} that it has right are wrong now"
    return f"{text}; {other:,} are wrong in both, differently." if other else f"{text}."


def slack_words(limit: Mapping[str, Any]) -> str:
    """Return how much of a limit is left, or by how much it is missed."""
    slack = limit["slack"]
    if slack is None:
        return ""
    if limit["met"] or slack >= 0:
        return f"{slack:.0%} left" if limit["met"] else ""
    # Of a floor relative to the reference it is what was lost that is too much.
    at_least = limit["name"] in AT_LEAST or (limit["name"].startswith("quality") and limit["limit"] >= 0)
    return f"{-slack:.0%} too {'little' if at_least else 'much'}"


def nearest_words(limits: Mapping[str, Any]) -> str:
    """Return which limit bound, or came nearest to it, and how many models each one kept out."""
    missed = [row for row in limits["limits"] if row["excludes"]]
    names = [f"{row['excludes']} on {COST_NAMES.get(row['name'], limit_name(row['name']).lower())}" for row in missed]
    kept = f" Models that miss a limit: {', '.join(names)}." if names else ""
    if limits["binding"]:
        return f"The limit that binds: {limit_name(limits['binding']).lower()}.{kept}"
    if limits["nearest"] is None:
        return kept.strip()
    return f"The nearest limit: {limit_name(limits['nearest']).lower()}.{kept}"


def limit_words(limits: Mapping[str, Any], name: str) -> list[str]:
    """Return what a looser limit would have allowed, model by model."""
    found = []
    for one in limits["relaxed"].get(name, []):
        if name == "quality":
            floor = signed(one["limit"]) if one["limit"] < 0 else points(one["limit"])
            need = f"a floor of {floor}, {points(one['change'])} points lower"
        else:
            looser = "less" if name in AT_LEAST else "more"
            need = (
                f"{cost_words({name: one['limit']}, name, limits['percentile'])}, {_percent(one['change'])} {looser}"
            )
        costs = {key: value for key, value in one["costs"].items() if key != name}
        had = [costs_words(costs, limits["percentile"])]
        if one["quality"] is not None:
            had.append(f"{points(one['quality'])} points on validation")
        elif not one["trained"]:
            had.append("never trained, so its quality is unknown")
        if one["predicted"]:
            had.append("costs predicted, not measured")
        elif set(limits["limited"]) - {name, *one["costs"]}:
            had.append("not timed, at this size")
        found.append(f"{need}: {one['name']} ({', '.join(part for part in had if part)})")
    return found


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def _lower(text: str) -> str:
    """Return a sentence as the end of another."""
    return f"{text[:1].lower()}{text[1:]}".rstrip(".")

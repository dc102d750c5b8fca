"""What a comparison of attentions says about quality: agreement with full attention as a table, notes and points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lighten.report.words import MISSING

MEANING = (
    "Agreement: the share of the variance of full attention's last hidden states that a kind reproduces with the same "
    "weights on the same tokens, before any training; 1 is the same, 0 no nearer than one state for all tokens. "
    "It says where a converted model starts, not how well it does after training."
)


def agreement_table(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return agreement as a table: a row per kind, a cell per length, and notes; None where nothing was judged."""
    quality = document.get("quality") or {}
    rows = {(row["kind"], row["tokens"]): row for row in quality.get("rows", ())}
    if not judged(document):
        return None
    kinds = [kind for kind in document["kinds"] if any(kind == one for one, _ in rows)]
    tokens = document["tokens"]
    return {
        "tokens": tokens,
        "rows": [{"kind": kind, "cells": [_cell(rows.get((kind, n))) for n in tokens]} for kind in kinds],
        "notes": notes_of(quality),
    }


def notes_of(quality: Mapping[str, Any]) -> list[str]:
    """Return the sentences that must stand beside the numbers: what they are, of which texts, and their limits."""
    lengths = [row for row in quality["lengths"] if row["texts"]]
    notes = [MEANING]
    counts = sorted({row["texts"] for row in lengths})
    count = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    if quality["texts"]["source"] is None:
        notes.append(f"On {count} sequences of random tokens, which are no text: --data judges on yours.")
    else:
        notes.append(f"On {count} texts of each length from {quality['texts']['source']}.")
        joined = [row for row in lengths if row["joined"]]
        if joined:
            said = ", ".join(f"{row['joined']} of {row['texts']} at {row['tokens']:,} tokens" for row in joined)
            notes.append(f"Several short rows one after the other: {said}; such texts have little to say across rows.")
    apart = [row["first_other"] for row in lengths if row["first_other"] is not None]
    if apart:
        low, high = f"{min(apart):.3f}", f"{max(apart):.3f}"
        between = low if low == high else f"{low} to {high}"
        notes.append(
            f"First token: the cosine between its state and that under full attention; of different texts under full "
            f"attention it is {between}, so only what is above that counts."
        )
    if any(row["tokens"] > quality["positions"] for row in lengths):
        notes.append(
            f"The model was made for {quality['positions']:,} tokens: beyond, its positions are repeated, and full "
            f"attention too is not what it was trained for."
        )
    return notes


def judged(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows that have agreement."""
    quality = document.get("quality") or {}
    return [row for row in quality.get("rows", ()) if row["agreement"] is not None]


def unjudged(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows that have none though time and memory were measured; the others are left out there already."""
    timed = {(row["kind"], row["tokens"]) for row in document["points"] if row["seconds"]}
    rows = (document.get("quality") or {}).get("rows", ())
    return [row for row in rows if row["not_judged"] and (row["kind"], row["tokens"]) in timed]


def why_not(document: Mapping[str, Any]) -> str:
    """Return why nothing was judged at all; empty where something was."""
    return str((document.get("quality") or {}).get("left_out") or "")


def _cell(row: Mapping[str, Any] | None) -> dict[str, str]:
    if row is None or row["agreement"] is None:
        return {"agreement": MISSING, "spread": "", "first": ""}
    low, high = f"{row['agreement_low']:.3f}", f"{row['agreement_high']:.3f}"
    return {
        "agreement": f"{row['agreement']:.3f}",
        "spread": f"{low} to {high}" if row["texts"] > 1 else "",
        "first": f"{row['first_cosine']:.3f}",
    }

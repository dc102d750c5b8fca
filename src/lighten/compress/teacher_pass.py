"""The teacher's forward pass over many texts: logits and inner features, in parts that survive a kill."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from lighten.compress.features import Wanted, side_of
from lighten.progress import Stage
from lighten.train.batches import Ids, pad, plan_batches
from lighten.train.objectives.capture import capturing
from lighten.train.precision import Precision

BUDGET = 4096
"""Tokens per batch, padding included."""
PART_TOKENS = 200_000
"""Tokens per part on disk: what a kill loses at most."""


@dataclass
class Collected:
    """What `collect` found: `logits` [n, classes], `starts` [n + 1], features by name, and facts of the teacher."""

    logits: torch.Tensor
    starts: torch.Tensor
    kept: bool
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    note: dict[str, Any] = field(default_factory=dict)


def collect(
    teacher: Any,
    encoded: Sequence[Ids],
    pad_id: int,
    precision: Precision,
    wanted: Wanted,
    stage: Stage,
    tick: Callable[[], None],
    parts: Path | None = None,
    same: str = "",
) -> Collected:
    """Run a teacher over texts without gradients.

    Args:
        teacher: a sequence classifier; left in evaluation mode.
        encoded: token ids per text.
        pad_id: the padding token.
        precision: of the products.
        wanted: layers, counted from the bottom.
        stage: told how many tokens are done.
        tick: called after every batch.
        parts: folder for finished parts; None keeps none.
        same: what the parts depend on; those of another pass are made anew.
    """
    teacher.eval()
    lengths = np.array([len(ids) for ids in encoded], np.int64)
    starts = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]))
    side = side_of(teacher.config.to_dict())
    kept: dict[str, torch.Tensor] = {}
    logits = torch.empty(len(encoded), teacher.config.num_labels)
    done = 0
    for number, batches in enumerate(_in_parts(plan_batches(lengths, BUDGET, None), lengths)):
        file = None if parts is None else parts / f"part-{number:05}.safetensors"
        found = None if file is None else _read_part(file, same)
        if found is None:

            def report(tokens: int, before: int = done) -> None:
                stage.update(before + tokens, total=int(lengths.sum()))
                tick()

            found = _run_part(teacher, encoded, pad_id, precision, wanted, side.layers, batches, report)
            if file is not None:
                _write_part(found, file, same)
        index = np.concatenate(batches)
        logits[torch.from_numpy(index)] = found.pop("logits")
        # Features lie in the order of the batches; a copy per text costs less than indexing by token.
        at = 0
        for text in index:
            start, end = int(starts[text]), int(starts[text + 1])
            for name, values in found.items():
                if name not in kept:
                    kept[name] = torch.empty(int(starts[-1]), values.shape[1], dtype=torch.float16)
                kept[name][start:end] = values[at : at + end - start]
            at += end - start
        done += int(lengths[index].sum())
        stage.update(done, total=int(lengths.sum()))
    note = {"layers": side.layers, "heads": side.heads, "hidden": side.width, "apart": side.apart}
    return Collected(logits, starts, bool(wanted.qkv), kept, note)


def _in_parts(batches: list[Any], lengths: Any) -> list[list[Any]]:
    parts: list[list[Any]] = []
    tokens = PART_TOKENS
    for batch in batches:
        if tokens >= PART_TOKENS:
            parts.append([])
            tokens = 0
        parts[-1].append(batch)
        tokens += int(lengths[batch].sum())
    return parts


def _run_part(
    teacher: Any,
    encoded: Sequence[Ids],
    pad_id: int,
    precision: Precision,
    wanted: Wanted,
    depth: int,
    batches: list[Any],
    report: Callable[[int], None],
) -> dict[str, torch.Tensor]:
    """Return logits [texts, classes] and features [tokens, width] in the order of the batches."""
    found: dict[str, list[torch.Tensor]] = {}
    tokens = 0
    options = {"output_hidden_states": True} if wanted.states else {}
    with torch.no_grad(), precision.context(), capturing(teacher, wanted.qkv) as qkv:
        for index in batches:
            batch = pad(encoded, index, pad_id)
            result = teacher(**batch.inputs, **options)
            found.setdefault("logits", []).append(result.logits.float())
            real = batch.mask.bool()
            for layer in wanted.states:
                name = "states" if layer == depth else f"states.{layer}"
                found.setdefault(name, []).append(result.hidden_states[layer][real].half())
            for layer in wanted.qkv:
                for name, values in zip(("query", "key", "value"), qkv[layer], strict=True):
                    found.setdefault(f"{name}.{layer}", []).append(values[real].half())
            tokens += batch.tokens
            report(tokens)
    return {name: torch.cat(values) for name, values in found.items()}


def _read_part(file: Path, same: str) -> dict[str, torch.Tensor] | None:
    try:
        with safe_open(file, framework="pt") as opened:
            if (opened.metadata() or {}).get("same") != same:
                return None
        return dict(load_file(file))
    except (OSError, SafetensorError):
        return None


def _write_part(found: dict[str, torch.Tensor], file: Path, same: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f".{file.name}.part")
    save_file(found, half, {"same": same})
    os.replace(half, file)

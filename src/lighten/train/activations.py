"""Runs the frozen bottom of a model once and keeps what it says on disk: freeze and cache.

Exact: without dropout a frozen layer says the same in every epoch. Of the three thirds of a layer's cost
(forward, gradients of activations, gradients of weights) freezing saves two, caching the third as well.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from lighten.errors import BuildError, InputError
from lighten.models.freeze import bottom_only
from lighten.progress import Stage
from lighten.train.batches import Ids, Index, pad, plan_batches
from lighten.train.datasets.cached import CachedRows
from lighten.train.precision import Precision

LIMIT = 20 * 10**9
"""Bytes that one cache may take unless told otherwise."""
SPARE = 0.1
"""Share of the free disk that stays free."""
TIMED = 3
"""Batches from which the time of all is foreseen."""


def activation_bytes(tokens: int, hidden: int, half: bool = False) -> int:
    """Return the bytes that the activations of so many tokens take on disk."""
    return tokens * hidden * (2 if half else 4)


def why_not_cache(tokens: int, hidden: int, folder: Path, limit: int = LIMIT, half: bool = False) -> str | None:
    """Return why the activations cannot be kept, or None where they can.

    Args:
        tokens: of all texts together.
        hidden: width of the model.
        folder: where they would lie.
        limit: bytes allowed.
        half: two bytes per number.
    """
    needed = activation_bytes(tokens, hidden, half)
    if needed > limit:
        return f"the activations need {needed / 1e9:.2f} GB, above the limit of {limit / 1e9:.2f} GB"
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if needed > (1 - SPARE) * free:
        return f"the activations need {needed / 1e9:.2f} GB, but only {free / 1e9:.2f} GB of disk are free"
    return None


def cache_activations(
    model: Any,
    encoded: Sequence[Ids],
    pad_id: int,
    layers: int,
    folder: Path,
    precision: Precision,
    *,
    half: bool = False,
    limit: int = LIMIT,
    budget: int = 4096,
    stage: Stage | None = None,
    tick: Callable[[], None] = lambda: None,
) -> CachedRows:
    """Return the activations of every text after layer `layers`, computed once.

    The file is named by a hash of the weights below and of the texts, so that what an earlier run finished is
    used again and nothing stale ever is. Memory stays at one batch however many texts there are.

    Args:
        model: a BERT-type model, on any device.
        encoded: token ids per text.
        pad_id: the padding token.
        layers: how many bottom layers to run.
        folder: where the ``.npy`` file goes; made if missing.
        precision: of the forward pass.
        half: keep float16: half the bytes, and no longer exact.
        limit: bytes allowed.
        budget: tokens per batch, padding included.
        stage: told how many tokens are done.
        tick: called after every batch (the build's clock).

    Raises:
        InputError: the file would be too large (see `why_not_cache`), or the model cannot be cut there.
        BuildError: the disk is full, or an activation does not fit in float16.
    """
    lengths = np.array([len(ids) for ids in encoded], np.int64)
    starts: Index = np.concatenate([[0], np.cumsum(lengths)])
    with bottom_only(model, layers) as base:
        mark = _mark(model, encoded, pad_id, layers, precision, half)
        path = folder / f"activations-{mark}.npy"
        hidden, kind = int(base.config.hidden_size), np.dtype(np.float16 if half else np.float32)
        found = _open(path, (int(starts[-1]), hidden), kind)
        if found is None:
            reason = why_not_cache(int(starts[-1]), hidden, folder, limit, half)
            if reason is not None:
                raise InputError(reason, str(folder))
            folder.mkdir(parents=True, exist_ok=True)
            _compute(base, encoded, pad_id, starts, path, kind, precision, budget, stage, tick)
            found = _open(path, (int(starts[-1]), hidden), kind)
    assert found is not None
    return CachedRows(found, starts)


def bottom_seconds(
    model: Any, encoded: Sequence[Ids], pad_id: int, layers: int, precision: Precision, budget: int = 4096
) -> float:
    """Return the seconds that `cache_activations` would take, from `TIMED` batches between the shortest and longest.

    Args:
        model: a BERT-type model, on any device.
        encoded: token ids per text.
        pad_id: the padding token.
        layers: how many bottom layers to run.
        precision: of the forward pass.
        budget: tokens per batch, padding included.
    """
    lengths = np.array([len(ids) for ids in encoded], np.int64)
    plan = plan_batches(lengths, budget, None)
    if not plan:
        return 0.0
    chosen = [plan[at] for at in sorted({int(at) for at in np.linspace(0, len(plan) - 1, TIMED)})]
    spent, tokens = 0.0, 0
    with bottom_only(model, layers) as base, torch.no_grad(), precision.context():
        training, device = base.training, next(base.parameters()).device
        base.eval()
        try:
            for number, index in enumerate([chosen[0], *chosen]):  # the first one wakes the threads
                batch = pad(encoded, index, pad_id).to(device)
                begun = time.perf_counter()
                base(**batch.inputs).last_hidden_state.float().cpu()
                if number:
                    spent, tokens = spent + time.perf_counter() - begun, tokens + math.prod(batch.shape)
        finally:
            base.train(training)
    return spent / tokens * sum(len(index) * int(lengths[index].max()) for index in plan)


def sweep(folder: Path) -> None:
    """Remove what a process that was killed has half written; no other one may be writing."""
    for file in folder.glob(".activations-*"):
        file.unlink(missing_ok=True)


def _compute(
    base: Any,
    encoded: Sequence[Ids],
    pad_id: int,
    starts: Index,
    path: Path,
    kind: np.dtype[Any],
    precision: Precision,
    budget: int,
    stage: Stage | None,
    tick: Callable[[], None],
) -> None:
    """Write the file batch by batch under another name, and rename it when it is whole."""
    training, device, done = base.training, next(base.parameters()).device, 0
    base.eval()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        # Written, not mapped: on a full disk a write raises where a map kills the process.
        with os.fdopen(handle, "wb") as file, torch.no_grad(), precision.context():
            header = {"descr": kind.str, "fortran_order": False, "shape": (int(starts[-1]), base.config.hidden_size)}
            np.lib.format.write_array_header_1_0(file, header)
            first = file.tell()
            for index in plan_batches(np.diff(starts), budget, None):
                batch = pad(encoded, index, pad_id).to(device)
                states = base(**batch.inputs).last_hidden_state.float().cpu().numpy()
                _write(file, first, states, index, starts, kind)
                done += batch.tokens
                if stage is not None:
                    stage.update(done, total=int(starts[-1]))
                tick()
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as error:
        raise BuildError(f"the activations could not be written to {path.parent}: {error}") from error
    finally:
        Path(name).unlink(missing_ok=True)
        base.train(training)


def _write(file: BinaryIO, first: int, states: Any, index: Index, starts: Index, kind: np.dtype[Any]) -> None:
    width = states.shape[-1] * kind.itemsize
    with np.errstate(over="ignore"):  # said below, with what to do
        narrow = states.astype(kind)
    for row, text in enumerate(index):
        own = narrow[row, : int(starts[text + 1] - starts[text])]
        if not np.isfinite(own).all():
            raise BuildError("an activation is no finite number in this format; keep them in float32")
        file.seek(first + int(starts[text]) * width)
        file.write(own.tobytes())


def _open(path: Path, shape: tuple[int, int], kind: np.dtype[Any]) -> Any:
    """Return the file as a read-only memory map; None where it is missing or not what was asked for."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return found if found.shape == shape and found.dtype == kind else None


def _mark(model: Any, encoded: Sequence[Ids], pad_id: int, layers: int, precision: Precision, half: bool) -> str:
    """Return a hash of everything that the activations depend on; called while the model is cut."""
    config = model.config.to_dict()
    shown = ("model_type", "hidden_act", "activation", "num_attention_heads", "n_heads", "layer_norm_eps")
    facts = {key: config.get(key) for key in (*shown, "lighten_norm")}
    total = hashlib.blake2b(repr((facts, pad_id, layers, precision.name, half)).encode(), digest_size=16)
    for name, value in model.base_model.state_dict().items():
        if not name.startswith("pooler."):  # above the cut
            total.update(f"{name}{tuple(value.shape)}".encode())
            total.update(value.detach().cpu().contiguous().numpy().tobytes())
    for ids in encoded:
        total.update(len(ids).to_bytes(8, "little"))
        total.update(np.ascontiguousarray(ids, np.int32).tobytes())
    return total.hexdigest()

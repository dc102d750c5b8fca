"""Sparse weights on disk: a bit per weight says which are there, and only those are stored.

``model.sparse.safetensors`` holds ``NAME.bitmap`` [weights / 8] and ``NAME.values`` of every matrix that becomes
smaller that way, and all other tensors as they are. What is stored is every number whose bits are not all zero, so
that nothing changes on the way there and back, signs of zeros included.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from lighten.errors import InputError
from lighten.models.checkpoint import WEIGHTS, weight_files
from lighten.pipeline.files import write_bytes

PACKED = "model.sparse.safetensors"
NOTE, FORMAT = "lighten", "lighten-sparse-1"
_BITS = {2: torch.int16, 4: torch.int32}


def pack(folder: Path, *, half: bool = False, replace: bool = False) -> dict[str, int]:
    """Write a checkpoint's weights as ``model.sparse.safetensors``.

    Args:
        folder: with model.safetensors.
        half: store the values that are there in half precision; they come back as fp32, rounded. Without it every bit
            comes back.
        replace: remove model.safetensors, which `unpack` restores.

    Returns:
        Bytes of both: ``dense`` and ``packed``.

    Raises:
        InputError: no weights, damaged ones, or ones that half precision cannot hold.
    """
    files = weight_files(folder)
    if not files:
        raise InputError(f"no {WEIGHTS} to pack", str(folder))
    state: dict[str, torch.Tensor] = {}
    for file in files:
        state |= _read(file)
    tensors, described = packed(state, half=half, where=str(folder))
    # One entry: the file would hold several in an order of its own every time.
    note = json.dumps({"format": FORMAT, "packed": described}, sort_keys=True)
    write_bytes(folder / PACKED, save(tensors, {NOTE: note}))
    sizes = {"dense": sum(file.stat().st_size for file in files), "packed": (folder / PACKED).stat().st_size}
    for file in files if replace else []:
        file.unlink()
    return sizes


def unpack(folder: Path) -> Path:
    """Restore model.safetensors from ``model.sparse.safetensors``; returns its path.

    Raises:
        InputError: there is none, or it is damaged.
    """
    file = folder / PACKED
    if not file.is_file():
        raise InputError(f"no {PACKED} to unpack", str(folder))
    tensors = _read(file)
    try:
        with safe_open(file, framework="pt") as opened:
            note = json.loads((opened.metadata() or {}).get(NOTE, "{}"))
        if note.get("format") != FORMAT:
            raise InputError(f"its format is {note.get('format')!r}, not {FORMAT!r}", str(file))
        state = unpacked(tensors, note["packed"])
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(f"it is damaged: {error}", str(file)) from None
    write_bytes(folder / WEIGHTS, save(state, {"format": "pt"}))
    return folder / WEIGHTS


def packed(
    state: Mapping[str, torch.Tensor], *, half: bool = False, where: str = ""
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors to store, and shape and type of those that are packed.

    Raises:
        InputError: a value is too large for half precision.
    """
    tensors: dict[str, torch.Tensor] = {}
    described: dict[str, Any] = {}
    for name, value in state.items():
        size = value.element_size()
        there = value.contiguous().view(_BITS[size]) != 0 if _packable(value) else None
        kept = None if there is None else int(there.sum())
        stored = 2 if half else size
        if there is None or kept is None or math.ceil(value.numel() / 8) + kept * stored >= value.numel() * size:
            tensors[name] = value.contiguous()
            continue
        values = value[there]
        if half:
            values = values.half()
            if not torch.isfinite(values).all():
                raise InputError(f"{name} has values that half precision cannot hold; store them whole", where)
        tensors[name + ".bitmap"] = torch.from_numpy(np.packbits(there.flatten().numpy(), bitorder="little"))
        tensors[name + ".values"] = values
        described[name] = {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
    return tensors, described


def unpacked(tensors: Mapping[str, torch.Tensor], described: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return the tensors that `packed` was given.

    Raises:
        ValueError: a bitmap does not fit its shape or its values.
    """
    stored = {f"{name}.{part}" for name in described for part in ("bitmap", "values")}
    state = {name: value for name, value in tensors.items() if name not in stored}
    for name, facts in described.items():
        bitmap, values = tensors[name + ".bitmap"], tensors[name + ".values"]
        count = math.prod(facts["shape"])
        if bitmap.numel() != math.ceil(count / 8):
            raise ValueError(f"the bitmap of {name} has {bitmap.numel()} bytes for {count} weights")
        there = torch.from_numpy(np.unpackbits(bitmap.numpy(), count=count, bitorder="little")).bool()
        if int(there.sum()) != values.numel():
            raise ValueError(f"the bitmap of {name} counts {int(there.sum())} values, but there are {values.numel()}")
        flat = torch.zeros(count, dtype=getattr(torch, facts["dtype"]))
        flat[there] = values.to(flat.dtype)
        state[name] = flat.view(facts["shape"])
    return state


def sizes_of(state: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """Return the bytes of the tensors, ``dense`` and ``packed``, without writing them."""
    tensors, _ = packed(state)
    return {"dense": _bytes(state), "packed": _bytes(tensors)}


def _bytes(tensors: Mapping[str, torch.Tensor]) -> int:
    return sum(value.numel() * value.element_size() for value in tensors.values())


def _packable(value: torch.Tensor) -> bool:
    return value.is_floating_point() and value.dim() > 1 and value.element_size() in _BITS


def _read(file: Path) -> dict[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = load_file(file)
    except (SafetensorError, OSError) as error:
        raise InputError(f"the weights cannot be read: {error}", str(file)) from None
    return tensors

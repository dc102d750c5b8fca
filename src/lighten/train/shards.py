"""Named tensors, plain or sharded over processes, in safetensors files that any number of processes can read.

Each process writes the parts it holds with where they belong in the whole tensor; a reader takes the ranges it
needs from whichever files hold them. So a checkpoint of two processes opens in one or in four.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor, Replicate

from lighten.pipeline.files import checksum

OWN = "extra."
"""Names that begin so are of tensors that every process has of its own."""
Range = tuple[tuple[int, ...], tuple[int, ...]]
"""Offset and shape of a part within its tensor."""


@dataclass(frozen=True)
class Part:
    """Rows of a tensor of which this process alone has a plain copy.

    Attributes:
        values: the rows.
        first: where they begin in the whole tensor.
        shape: of the whole tensor.
    """

    values: torch.Tensor
    first: int
    shape: tuple[int, ...]


def place(tensor: torch.Tensor | Part) -> Range:
    """Return which part of the whole tensor this process holds."""
    if isinstance(tensor, Part):
        shape = tuple(tensor.values.shape)
        return (tensor.first, *(0,) * len(shape))[: len(shape)], shape
    if isinstance(tensor, DTensor):
        from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

        shape, offset = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
        return tuple(offset), tuple(shape)
    return (0,) * tensor.dim(), tuple(tensor.shape)


def local(tensor: torch.Tensor | Part) -> torch.Tensor:
    """Return this process's part itself (a view)."""
    if isinstance(tensor, Part):
        return tensor.values
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _first_copy(tensor: torch.Tensor | Part, owns_plain: bool) -> bool:
    """Return whether this process is the one to write: of several that hold the same part, the first."""
    if isinstance(tensor, Part):
        return True
    if not isinstance(tensor, DTensor):
        return owns_plain
    coordinate: list[int] = list(tensor.device_mesh.get_coordinate() or [])
    return all(at == 0 for at, kind in zip(coordinate, tensor.placements, strict=True) if isinstance(kind, Replicate))


def write_shard(
    tensors: Mapping[str, torch.Tensor | Part], folder: Path, rank: int, owns_plain: bool = True
) -> dict[str, Any]:
    """Write this process's parts to ``shard-RANK.safetensors``.

    Tensors that share their memory (tied weights) are written once.

    Returns:
        The file's name and checksum, and for each tensor its whole shape and the part written.
    """
    kept: dict[str, torch.Tensor] = {}
    index: dict[str, Any] = {}
    seen: set[tuple[int, tuple[int, ...]]] = set()
    for name, tensor in tensors.items():
        part = local(tensor).detach()
        key = (part.data_ptr(), tuple(part.shape))
        mine = name.startswith(OWN) or _first_copy(tensor, owns_plain)
        if not mine or (part.numel() and key in seen):
            continue
        seen.add(key)
        offset, shape = place(tensor)
        index[name] = {
            "shape": list(tensor.shape),
            "dtype": str(part.dtype).removeprefix("torch."),
            "offset": list(offset),
            "part": list(shape),
        }
        if part.numel():
            kept[name] = part.contiguous().cpu()
    file = folder / f"shard-{rank:05}.safetensors"
    save_file(kept, file)
    return {"file": file.name, "sha256": checksum(file), "tensors": index}


@dataclass(frozen=True)
class Shards:
    """The files of one checkpoint, ready to be read.

    Args:
        folder: where they are.
        entries: what `write_shard` returned on each process.
    """

    folder: Path
    entries: list[dict[str, Any]]

    def verify(self) -> None:
        """Compare every file with its checksum.

        Raises:
            ValueError: one differs.
        """
        for entry in self.entries:
            if checksum(self.folder / entry["file"]) != entry["sha256"]:
                raise ValueError(f"{entry['file']} is damaged")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the whole shape of every tensor."""
        return {name: tuple(part["shape"]) for entry in self.entries for name, part in entry["tensors"].items()}

    def fill(self, name: str, target: torch.Tensor | Part) -> None:
        """Copy the range that `target` holds of the tensor `name` into it.

        Raises:
            ValueError: the whole shapes differ, or a file lacks part of the range.
        """
        offset, shape = place(target)
        into = local(target).detach()
        missing = into.numel()
        for entry in self.entries:
            part = entry["tensors"].get(name)
            if part is None:
                continue
            if list(target.shape) != part["shape"]:
                raise ValueError(f"{name} has shape {part['shape']}, the model's is {list(target.shape)}")
            starts = [max(a, b) for a, b in zip(offset, part["offset"], strict=True)]
            ends = [min(a + n, b + m) for a, n, b, m in zip(offset, shape, part["offset"], part["part"], strict=True)]
            if any(end <= start for start, end in zip(starts, ends, strict=True)):
                continue
            with safe_open(self.folder / entry["file"], framework="pt") as file:
                if not starts:
                    values = file.get_tensor(name)
                else:
                    window = tuple(slice(s - b, e - b) for s, e, b in zip(starts, ends, part["offset"], strict=True))
                    values = file.get_slice(name)[window]
            spot = tuple(slice(s - a, e - a) for s, e, a in zip(starts, ends, offset, strict=True))
            into[spot].copy_(values) if spot else into.copy_(values)
            missing -= values.numel()
        if missing > 0:
            raise ValueError(f"{name}: {missing} of its values are not in the checkpoint")

    def whole(self, name: str) -> torch.Tensor:
        """Return a tensor put together from its parts.

        Raises:
            StopIteration: there is no such tensor.
        """
        about = next(entry["tensors"][name] for entry in self.entries if name in entry["tensors"])
        target = torch.zeros(about["shape"], dtype=getattr(torch, about["dtype"]))
        self.fill(name, target)
        return target

"""Checkpoints of a training in flight: complete, atomic, without pickle."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lighten.pipeline.files import new_folder, read_json, write_json

LAST = "last"


@dataclass
class State:
    """Where a training stands, besides weights and optimiser: JSON-ready."""

    step: int = 0
    epoch: int = 0
    position: int = 0
    """Batches of this epoch that are done."""
    elapsed: float = 0.0
    validation_seconds: float = 0.0
    """What the last validation took."""
    rate: float = 0.0
    """The learning rate of the last step."""
    precision: str = ""
    """The number format it was begun in: a probe could choose another after an interruption."""
    best: float = float("-inf")
    best_step: int = 0
    stale: int = 0
    """Validations since the best one (early stopping)."""
    history: list[dict[str, Any]] = field(default_factory=list)


class Checkpoints:
    """Keeps the newest checkpoint of one training.

    The interval adapts to what saving costs: at most about 2% of the time goes into it.

    Args:
        folder: where; None keeps nothing.
        seconds: shortest time between two checkpoints.
    """

    def __init__(self, folder: Path | None, seconds: float = 30.0) -> None:
        self.folder, self.interval = folder, seconds
        self.saved_at = time.monotonic()

    def due(self) -> bool:
        """Return whether it is time to save."""
        return self.folder is not None and time.monotonic() - self.saved_at >= self.interval

    def save(
        self,
        state: State,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        best: dict[str, torch.Tensor] | None,
    ) -> None:
        """Write a checkpoint, replacing the last one only when complete."""
        if self.folder is None:
            return
        started = time.monotonic()
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        for number, slots in optimizer.state_dict()["state"].items():
            tensors.update({f"optimizer.{number}.{slot}": torch.as_tensor(value) for slot, value in slots.items()})
        if best is not None:
            tensors.update({f"best.{name}": value for name, value in best.items()})
        with new_folder(self.folder / LAST) as folder:
            save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "state.safetensors")
            write_json(folder / "state.json", {**vars(state), "best": None if best is None else state.best})
        self.saved_at = time.monotonic()
        self.interval = max(self.interval, 50 * (self.saved_at - started))

    def load(
        self, model: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[State, dict[str, torch.Tensor] | None] | None:
        """Restore model and optimiser from the newest checkpoint; None if there is none that is complete."""
        found = self._read()
        if found is None:
            return None
        state, parts = found
        model.load_state_dict(parts["model"])
        slots: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in parts["optimizer"].items():
            number, slot = name.split(".", 1)
            slots.setdefault(int(number), {})[slot] = value
        optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
        return state, parts["best"] or None

    def _read(self) -> tuple[State, dict[str, dict[str, torch.Tensor]]] | None:
        """Return the newest checkpoint that can be read whole; whatever else a kill left behind is removed."""
        if self.folder is None or not self.folder.is_dir():
            return None
        # A kill between the two renames of `new_folder` leaves the newest checkpoint under the name of the old one.
        for name in (LAST, f".{LAST}.old"):
            try:
                content = read_json(self.folder / name / "state.json")
                best = float("-inf") if content["best"] is None else content["best"]
                state = State(**{**content, "best": best})
                tensors = load_file(self.folder / name / "state.safetensors")
            except (OSError, ValueError, KeyError, TypeError, SafetensorError):
                continue
            parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "best": {}, "optimizer": {}}
            for key, value in tensors.items():
                part, rest = key.split(".", 1)
                parts[part][rest] = value
            for torn in self.folder.glob(f".{LAST}.*"):
                if torn.name != name:
                    shutil.rmtree(torn, ignore_errors=True)
            return state, parts
        return None

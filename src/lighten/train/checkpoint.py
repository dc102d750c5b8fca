"""Checkpoints of a training in flight: complete, atomic, verified, without pickle, for any number of processes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from lighten.errors import InputError
from lighten.pipeline.files import read_json, write_json
from lighten.train.parallel.strategy import Strategy
from lighten.train.shards import Part, Shards, write_shard
from lighten.train.state import State

LAST, PREVIOUS, SAVING = "last", "previous", ".saving"


class Checkpoints:
    """Keeps the newest checkpoint of one training, and the one before it.

    The interval adapts to what saving costs: at most about 2% of the time goes into it.

    Args:
        folder: where, the same for all processes; None keeps nothing.
        seconds: shortest time between two checkpoints.
        fingerprint: what the training depends on; a checkpoint of another training is refused.
        strategy: the processes that train together.
    """

    def __init__(
        self, folder: Path | None, seconds: float = 30.0, fingerprint: str = "", strategy: Strategy | None = None
    ) -> None:
        self.folder, self.interval, self.fingerprint = folder, seconds, fingerprint
        self.strategy = strategy or Strategy()
        self.saved_at = time.monotonic()
        self.step: int | None = None
        """Of the checkpoint saved or loaded last."""

    def due(self) -> bool:
        """Return whether it is time to save."""
        return self.folder is not None and time.monotonic() - self.saved_at >= self.interval

    def save(
        self,
        state: State,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        best: Mapping[str, torch.Tensor] | None = None,
        extra: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Write a checkpoint, replacing the last one only when complete.

        Args:
            state: where the training stands.
            model: whose parameters and buffers are kept.
            optimizer: whose slots are kept, under the names of the parameters.
            best: the weights of the best validation so far.
            extra: what the objective carries from step to step.

        Raises:
            OSError: it could not be written (disk full, no permission); the last one is untouched.
        """
        if self.folder is None:
            return
        started = time.monotonic()
        frozen = _frozen(model)
        tensors: dict[str, torch.Tensor | Part] = {
            f"model.{name}": value for name, value in model.state_dict().items() if name not in frozen
        }
        for name, parameter in model.named_parameters():
            own = self.strategy.own(parameter)
            for slot, value in (optimizer.state.get(own, {}) if own is not None else {}).items():
                tensors[f"optimizer.{slot}::{name}"] = self.strategy.placed(parameter, torch.as_tensor(value))
        tensors |= {f"best.{name}": value for name, value in (best or {}).items() if name not in frozen}
        tensors |= {f"extra.{name}": value for name, value in (extra or {}).items()}
        groups = [
            {key: value for key, value in group.items() if isinstance(value, (int, float))}
            for group in optimizer.param_groups
        ]
        content = {
            "fingerprint": self.fingerprint,
            "state": {**vars(state), "best": None if best is None else state.best, "lowest_loss": _finite(state)},
            "groups": groups,
            "has_best": best is not None,
        }
        self._write(tensors, content)
        self.step, self.saved_at = state.step, time.monotonic()
        self.interval = max(self.interval, 50 * (self.saved_at - started))

    def _write(self, tensors: Mapping[str, torch.Tensor | Part], content: dict[str, Any]) -> None:
        assert self.folder is not None
        strategy, saving = self.strategy, self.folder / SAVING
        # Every process must reach every exchange, whatever fails where; in the end all know of it.
        failure: Exception | None = None
        if strategy.rank == 0:
            shutil.rmtree(saving, ignore_errors=True)
            try:
                saving.mkdir(parents=True)
            except OSError as error:
                failure = error
        strategy.barrier()
        try:
            entry = write_shard(tensors, saving, strategy.rank, strategy.owns_plain)
            write_json(saving / f"shard-{strategy.rank:05}.json", entry)
        except (OSError, SafetensorError) as error:
            failure = failure or error
        whole = not strategy.anywhere(failure is not None)
        if strategy.rank == 0 and whole:
            try:
                shards = [read_json(file) for file in sorted(saving.glob("shard-*.json"))]
                if len(shards) != strategy.world_size:  # a disk for each machine
                    raise OSError(f"{len(shards)} of {strategy.world_size} parts are in {saving}: all must see it")
                write_json(saving / "state.json", {**content, "shards": shards})
                self._turn(saving)
            except OSError as error:
                failure = error
        if strategy.anywhere(failure is not None):
            if strategy.rank == 0:
                shutil.rmtree(saving, ignore_errors=True)
            raise OSError(str(failure or "another process could not write its part")) from failure

    def _turn(self, saving: Path) -> None:
        """Let the finished folder become the last checkpoint, and the last one the previous."""
        assert self.folder is not None
        last, previous = self.folder / LAST, self.folder / PREVIOUS
        if last.exists():
            shutil.rmtree(previous, ignore_errors=True)
            last.rename(previous)
        saving.rename(last)

    def load(
        self, model: torch.nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[State, dict[str, torch.Tensor] | None, dict[str, torch.Tensor]] | None:
        """Restore model and optimiser from the newest checkpoint that is whole; None if there is none.

        Returns:
            The state, the weights of the best validation, and what the objective carries.

        Raises:
            InputError: the checkpoint belongs to another training.
        """
        found = self._newest()
        if found is None:
            return None
        content, shards = found
        shapes = shards.shapes()
        self.strategy.barrier()  # where processes have their weights in common, no other may still be reading them
        self._fill_model(model, shards, shapes)
        fill_optimizer(model, optimizer, shards, content["groups"], self.strategy)
        best = None
        if content["has_best"]:
            best = {name: value.detach().clone() for name, value in model.state_dict().items()}
            for name, value in best.items():
                if f"best.{name}" in shapes:
                    shards.fill(f"best.{name}", value)
        extra = {name[6:]: shards.whole(name) for name in shapes if name.startswith("extra.")}
        state = dict(content["state"])
        state["best"] = float("-inf") if state["best"] is None else state["best"]
        state["lowest_loss"] = float("inf") if state["lowest_loss"] is None else state["lowest_loss"]
        self.step, self.saved_at = int(state["step"]), time.monotonic()
        return State(**state), best, extra

    def set_aside(self) -> None:
        """Remove the newest checkpoint, of which nothing good can come, where the one before it is whole."""
        if self.folder is not None and self.strategy.rank == 0 and self._read(PREVIOUS) is not None:
            shutil.rmtree(self.folder / LAST, ignore_errors=True)
        self.strategy.barrier()

    def _fill_model(self, model: torch.nn.Module, shards: Shards, shapes: dict[str, tuple[int, ...]]) -> None:
        # Frozen weights are those of the model given: they are in no checkpoint.
        frozen, target = _frozen(model), model.state_dict()
        filled = {value.data_ptr() for name, value in target.items() if name in frozen}
        for name, value in target.items():
            if f"model.{name}" in shapes:
                try:
                    shards.fill(f"model.{name}", value)
                except ValueError as error:
                    raise InputError(
                        f"the checkpoint is of another model: {error}; remove it to start anew", str(self.folder)
                    ) from None
                filled.add(value.data_ptr())
        left = [name for name, value in target.items() if value.numel() and value.data_ptr() not in filled]
        if left:
            raise InputError(
                f"the checkpoint is of another model: it lacks {left[0]}; remove it to start anew", str(self.folder)
            )

    def elapsed(self) -> float:
        """Return the seconds of training that the newest checkpoint stands for, 0 without one.

        Raises:
            InputError: the checkpoint belongs to another training.
        """
        found = self._newest(verify=False)
        return 0.0 if found is None else float(found[0]["state"]["elapsed"])

    def _newest(self, verify: bool = True) -> tuple[dict[str, Any], Shards] | None:
        """Return the newest checkpoint that can be read whole; a torn or damaged one is passed over."""
        found = self._read(LAST, verify) or self._read(PREVIOUS, verify)
        if found is not None and found[0]["fingerprint"] != self.fingerprint:
            raise InputError(
                "the checkpoint is of another training (its recipe, data or model differ); remove it, or "
                "train with --restart, to start anew",
                str(found[1].folder),
            )
        return found

    def _read(self, name: str, verify: bool = True) -> tuple[dict[str, Any], Shards] | None:
        """Return a checkpoint if all of it is there and sound; without `verify` its tensors are not looked at."""
        if self.folder is None:
            return None
        try:
            content = read_json(self.folder / name / "state.json")
            shards = Shards(self.folder / name, content["shards"])
            if verify:
                shards.verify()
            State(**content["state"])
            _ = content["fingerprint"], content["groups"], content["has_best"]
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            return None
        return content, shards


def _frozen(model: torch.nn.Module) -> set[str]:
    """Return the names of the parameters that are not trained."""
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


def fill_optimizer(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    shards: Shards,
    saved: list[dict[str, Any]],
    strategy: Strategy,
) -> None:
    """Restore an optimiser's slots, which are kept under the names of the parameters; what it held is forgotten."""
    optimizer.state.clear()  # a checkpoint of the first step has none, and what is there now led astray
    slots: dict[str, list[str]] = {}
    shapes = shards.shapes()
    for key in shapes:
        if key.startswith("optimizer."):
            slot, owner = key[len("optimizer.") :].split("::", 1)
            slots.setdefault(owner, []).append(slot)
    fused = any(group.get("fused") for group in optimizer.param_groups)
    for name, parameter in model.named_parameters():
        own = strategy.own(parameter)
        if own is None:
            continue
        for slot in slots.get(name, []):
            key = f"optimizer.{slot}::{name}"
            if shapes[key] == tuple(parameter.shape):
                value = torch.zeros_like(own)
                shards.fill(key, strategy.placed(parameter, value))
            else:
                value = shards.whole(key)
                value = value.to(parameter.device) if fused else value
            optimizer.state[own][slot] = value
    for number, group in enumerate(optimizer.param_groups):
        group.update(saved[number % len(saved)])  # a strategy may have two pairs of groups (see `optimizer.groups`)


def _finite(state: State) -> float | None:
    return None if state.lowest_loss == float("inf") else state.lowest_loss

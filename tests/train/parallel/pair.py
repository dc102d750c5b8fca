"""What each of the two processes of `test_shared` does: ``python -m tests.train.parallel.pair FOLDER RANK``."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from lighten.train.parallel.auto import make
from lighten.train.parallel.group import Process
from lighten.train.precision import Precision

PLAIN = Precision("fp32", "")


class Model(torch.nn.Module):
    """Parameters that everybody uses, one that only the second process uses, one that nobody does, a frozen one."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.second = torch.nn.Linear(300, 301), torch.nn.Linear(300, 301)
        self.scale = torch.nn.Parameter(torch.tensor(1.5))
        self.never, self.frozen = torch.nn.Linear(3, 3), torch.nn.Linear(300, 300)
        self.frozen.requires_grad_(False)
        self.register_buffer("shift", torch.randn(300))

    def forward(self, rows: torch.Tensor, more: bool) -> torch.Tensor:
        rows = self.frozen(rows) + self.shift
        found = self.first(rows) * self.scale
        return (found + self.second(rows) if more else found).square().mean(1)


class Rows:
    """The smallest batch: what `Strategy.gradients` needs of one."""

    ghost = False

    def __init__(self, seed: int) -> None:
        self.rows = torch.randn(4, 300, generator=torch.Generator().manual_seed(seed))

    def to(self, device: torch.device) -> Rows:
        return self


class Loss:
    """An objective under which the first process leaves a layer out."""

    def __init__(self, second: bool) -> None:
        self.second = second

    def loss(self, model: Model, batch: Rows) -> torch.Tensor:
        return model(batch.rows, self.second).sum()


def gradients(model: Model) -> dict[str, torch.Tensor]:
    """Return what both processes' batches give one model."""
    for process in (0, 1):
        for seed in (process, process + 2):
            Loss(bool(process)).loss(model, Rows(seed)).div(8).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def whole(strategy: Any, model: Model) -> dict[str, torch.Tensor]:
    """Put the gradients together from the rows that each process owns."""
    found = {}
    for name, parameter in model.named_parameters():
        own = strategy.own(parameter)
        value, rows = torch.zeros_like(parameter), torch.zeros(2, dtype=torch.int64)
        if own is not None and own.grad is not None:
            first = strategy.placed(parameter, own).first
            value.view(-1)[first * own[:1].numel() if own.dim() else 0 :][: own.numel()] = own.grad.flatten()
            rows[0] = own.numel()
        value, rows = strategy.gather_sum(value.detach()), strategy.gather_sum(rows)
        if rows[0]:
            assert int(rows[0]) == parameter.numel()
            found[name] = value
    return found


def main(folder: Path, rank: int) -> None:
    """Compare gradients, norms and weights with those of one process; then the second one dies."""
    torch.set_num_threads(1)
    strategy = make("ddp", here=Process(rank, 2, rank, 2), rendezvous=f"file://{folder}/meet")
    model = strategy.prepare(Model(rank))  # the first one's weights count
    trained = [p for p in model.parameters() if p.requires_grad]
    own = [rows for rows in map(strategy.own, trained) if rows is not None]
    alone = Model(0)
    optimizers = [torch.optim.AdamW(own, fused=True), torch.optim.AdamW(alone.parameters(), fused=True)]
    strategy.attach(optimizers[0])
    batches: Any = [Rows(rank), Rows(rank + 2)]
    apart, norms, missing = [], [], []
    for step in range(4):
        optimizers[1].zero_grad()
        wanted = gradients(alone)
        for _ in range(1 + step % 2):  # computed again they are the same, whoever was faster
            strategy.gradients(Loss(bool(rank)), batches, 8.0, PLAIN)
        found = whole(strategy, model)
        missing.append(sorted(alone.state_dict().keys() - found.keys()))
        assert wanted.keys() == found.keys(), (wanted.keys(), found.keys())
        apart.append(max(float((found[name] - wanted[name]).abs().max()) for name in wanted))
        norms.append([strategy.norm(own), float(torch.nn.utils.get_total_norm(wanted.values()))])
        for optimizer in optimizers:
            optimizer.step()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    facts = {
        "name": strategy.name,
        "reason": strategy.reason,
        "apart": apart,
        "norms": norms,
        "missing": missing,
        "weights": max(float((weights[n] - v).abs().max()) for n, v in alone.state_dict().items()),
        "owned": sum(p.numel() for p in own),
        "trained": sum(p.numel() for p in trained),
        "kept": [n for n, p in model.named_parameters() if p.grad is not None],
        "storages": len({p.untyped_storage().data_ptr() for p in trained}) == len(trained),
        "seen": seen(strategy, model, rank),
    }
    (folder / f"found-{rank}.json").write_text(json.dumps(facts))
    strategy.barrier()
    if rank:
        os.kill(os.getpid(), signal.SIGKILL)
    strategy.gradients(Loss(False), batches, 8.0, PLAIN)


def seen(strategy: Any, model: Model, rank: int) -> float:
    """Return what the second process sees of a weight that the first one writes."""
    strategy.barrier()
    if rank == 0:
        with torch.no_grad():
            model.first.weight[0, 0] = 42.0
    strategy.barrier()
    return float(model.first.weight[0, 0])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""Pipeline parallel: every process keeps some of the layers and passes hidden states on (GPipe, 1F1B)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe

from lighten.errors import InputError
from lighten.train.batches import Batch
from lighten.train.objectives import Objective, Outputs, RowObjective
from lighten.train.parallel import group
from lighten.train.parallel.cut import Costs, cut, measure
from lighten.train.parallel.distributed import Distributed
from lighten.train.parallel.stage import Plan, Stage
from lighten.train.precision import Precision

SCHEDULES = ("1f1b", "gpipe")
CHUNKS_PER_STAGE = 4
"""Parts of a batch: of ``chunks + stages - 1`` turns ``stages - 1`` are waited through, a ninth for two stages."""
PROBE = (8, 64)
"""Rows and tokens on which the layers are timed."""


class Pipeline(Distributed):
    """Stages cut by measured time; all processes see the same rows.

    Args:
        reason: why this strategy.
        here: this process; found from the environment when left out.
        rendezvous: where the processes meet.
        schedule: ``1f1b`` (Narayanan et al. 2019: a stage holds the activations of few parts) or ``gpipe`` (Huang et
            al. 2019: all forward passes, then all backward passes).
        chunks: parts that a batch is split into; four per stage when left out.
    """

    name = "pipeline"

    def __init__(
        self,
        reason: str = "asked for",
        here: group.Process | None = None,
        rendezvous: str = "env://",
        schedule: str = "1f1b",
        chunks: int | None = None,
    ) -> None:
        super().__init__(reason, here, rendezvous)
        self.last = self.rank == self.world_size - 1
        self.schedule, self.chunks = schedule, chunks or CHUNKS_PER_STAGE * self.world_size
        self.parts: list[range] = []
        self._running: tuple[Any, ...] = ()
        self._loss: Any = None

    def prepare(self, model: Any) -> Any:
        """Time the layers, cut the model and keep this process's part of it under its plain names.

        Raises:
            InputError: a model that cannot be cut, or has fewer layers than there are processes.
        """
        model = super().prepare(model)
        group.alike(model)
        mode = model.training
        model.eval()
        probe = _probe(model, self.device)
        plan = Plan(model, probe.inputs)
        with torch.no_grad():
            wanted = model(**probe.inputs).logits.float().cpu()
        self.parts = cut(self._costs(plan, probe), self.world_size)
        self.owners = plan.owners(self.parts)
        self.shapes = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
        self.width, self.classes = _width(model), int(model.config.num_labels)
        self.model: Stage = plan.keep(self.parts[self.rank], self.rank == 0, self.last)
        with torch.no_grad():
            found = self.answers(model, probe)
        if not torch.allclose(found, wanted, rtol=1e-3, atol=1e-4):
            raise InputError(f"a pipeline cannot cut {type(model).__name__}: in parts it answers differently")
        return model.train(mode)

    def _costs(self, plan: Plan, probe: Batch) -> Costs:
        """Return the first process's timings: all must cut alike."""
        count = len(plan.layers)
        times = torch.zeros(count + 2, dtype=torch.float64)
        if self.rank == 0:
            found = measure(plan.model, plan.layers, probe.inputs)
            times = torch.tensor([found.front, *found.layers, found.back], dtype=torch.float64)
        dist.broadcast(times, 0)
        values = times.tolist()
        return Costs(values[0], tuple(values[1:-1]), values[-1])

    def gradients(
        self, objective: Objective, batches: Sequence[Batch], divisor: float, precision: Precision, scale: float = 1.0
    ) -> float:
        """Run each batch through the stages; the sum of the loss is known to all processes.

        Raises:
            InputError: an objective that needs more than logits.
        """
        if not isinstance(objective, RowObjective) or objective.needs_states:
            raise InputError(
                f"a pipeline knows objectives on logits only; {type(objective).__name__} is none: use parallel ddp "
                "or fsdp",
                "train.parallel",
            )
        total = 0.0

        def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            nonlocal total
            real = target[:, 0] >= 0
            outputs = Outputs(logits[real], None, target[real, 1:])
            value = objective(outputs, target[real, 0].cpu()).sum() if bool(real.any()) else (logits * 0.0).sum()
            total += float(value.detach())
            return value * (scale / divisor)

        self.model.precision, self._loss = precision, loss
        for batch in batches:
            padded = self._padded(batch.to(self.device))
            schedule = self._schedule(padded, True)
            target = torch.cat([padded.index[:, None].to(self.device), padded.mask], 1) if self.last else None
            self._run(schedule, padded, target=target, return_outputs=False)
        whole = torch.tensor([total], dtype=torch.float64)
        dist.broadcast(whole, self.world_size - 1)
        return float(whole)

    def answers(self, model: Any, batch: Batch) -> torch.Tensor:
        """Return the logits of a batch on every process."""
        logits = torch.empty(len(batch.index), self.classes)
        padded = self._padded(batch.to(self.device))
        found = self._run(self._schedule(padded, False), padded)
        if self.last:
            logits = found[: len(logits)].float().cpu()
        dist.broadcast(logits, self.world_size - 1)
        return logits

    def _padded(self, batch: Batch) -> Batch:
        """Repeat the last row, marked by index -1, until the rows can be split evenly."""
        rows = len(batch.index)
        chunks = self._parts_of(rows)
        more = -rows % chunks
        if not more:
            return batch
        inputs = {
            name: torch.cat([value, value[-1:].expand(more, *value.shape[1:])]) for name, value in batch.inputs.items()
        }
        return replace(batch, inputs=inputs, index=torch.cat([batch.index, batch.index.new_full((more,), -1)]))

    def _parts_of(self, rows: int) -> int:
        return min(self.chunks, max(self.world_size, rows))

    def _schedule(self, batch: Batch, training: bool) -> Any:
        """Return the schedule for this shape; a new one whenever the shape changes, as buffers have a shape."""
        chunks = self._parts_of(len(batch.index))
        rows, tokens = len(batch.index) // chunks, batch.ids.shape[1]
        key = (rows, tokens, chunks, training)
        if self._running and self._running[0] == key:
            return self._running[1]
        hidden = torch.empty(rows, tokens, self.width, device="meta", requires_grad=training)
        given = torch.empty(rows, tokens, dtype=torch.int64, device="meta") if self.rank == 0 else hidden
        answer = torch.empty(rows, self.classes, device="meta", requires_grad=training) if self.last else hidden
        stage = PipelineStage(
            self.model, self.rank, self.world_size, self.device, input_args=(given,), output_args=(answer,)
        )
        kind = Schedule1F1B if training and self.schedule == "1f1b" else ScheduleGPipe
        loss = (lambda *values: self._loss(*values)) if training else None
        schedule = kind(stage, chunks, loss_fn=loss, scale_grads=False)
        self._running = (key, schedule)
        return schedule

    def _run(self, schedule: Any, batch: Batch, **options: Any) -> Any:
        given = (batch.ids,) if self.rank == 0 else ()
        return schedule.step(*given, **options, **batch.inputs)

    def full_state(self, model: Any) -> dict[str, torch.Tensor]:
        """Return all stages' tensors on the first process, nothing elsewhere."""
        mine = model.state_dict()
        whole: dict[str, torch.Tensor] = {}
        for name, (shape, dtype) in self.shapes.items():
            owner = self.owners[name]
            if owner == 0:
                if self.rank == 0:
                    whole[name] = mine[name].detach().cpu()
            elif self.rank == owner:
                dist.send(mine[name].detach().contiguous(), 0)
            elif self.rank == 0:
                value = torch.empty(shape, dtype=dtype, device=self.device)
                dist.recv(value, owner)
                whole[name] = value.cpu()
        return whole


def _probe(model: Any, device: torch.device) -> Batch:
    """Return rows of random tokens, none of them padding."""
    config = model.config
    rows, tokens = PROBE
    tokens = min(tokens, int(getattr(config, "max_position_embeddings", tokens)) // 2)
    draw = torch.Generator().manual_seed(0)
    pieces = int(model.get_input_embeddings().num_embeddings)  # may be fewer than the config says, while narrowed
    ids = torch.randint(min(5, pieces - 1), pieces, (rows, max(1, tokens)), generator=draw)
    if getattr(config, "pad_token_id", None) is not None:
        ids[ids == config.pad_token_id] = 0 if config.pad_token_id else 1
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return Batch(inputs, torch.arange(rows), float(rows), ids.numel()).to(device)


def _width(model: Any) -> int:
    for name in ("hidden_size", "dim", "d_model", "n_embd"):
        if isinstance(getattr(model.config, name, None), int):
            return int(getattr(model.config, name))
    raise InputError(f"a pipeline cannot cut {type(model).__name__}: its configuration does not say how wide it is")

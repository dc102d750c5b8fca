"""What each process of `test_together` does: ``python -m tests.train.parallel.worker FOLDER RANK PROCESSES``.

Starting Python costs seconds, so all checks run in the same processes; each writes what it found to a file.
"""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tests.helpers.training import FAST, Task

from lighten.errors import InputError
from lighten.models.load import load_classifier
from lighten.train.datasets.dataset import TextRows
from lighten.train.infer import infer
from lighten.train.loop import Training
from lighten.train.objectives import Classification, RowObjective
from lighten.train.parallel.auto import make
from lighten.train.parallel.ddp import DDP
from lighten.train.parallel.group import Process, leave
from lighten.train.parallel.memory import held
from lighten.train.parallel.pipeline import Pipeline
from lighten.train.parallel.strategy import Strategy
from lighten.train.precision import Precision
from lighten.train.sampler import Sampler
from lighten.train.shards import local, place

SETTINGS = replace(FAST, epochs=1, learning_rate=5e-4, validations_per_epoch=1)
PLAIN = Precision("fp32", "")


def llama(seed: int = 0) -> Any:
    from transformers import AutoModelForSequenceClassification, LlamaConfig

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=200, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=64, pad_token_id=0, num_labels=2, attn_implementation="eager",
    )  # fmt: skip
    return AutoModelForSequenceClassification.from_config(config)


class Checks:
    """One process."""

    def __init__(self, folder: Path, rank: int) -> None:
        self.folder, self.rank, self.found = folder, rank, {}
        self.task = Task(folder / "bert", 60)

    def training(self, strategy: Strategy, kind: str = "bert", folder: Path | None = None, **changes: Any) -> Any:
        task = self.task
        model = llama() if kind == "llama" else load_classifier(task.bert, ["bad", "good"], 0)
        if kind == "unused":
            model.unused = torch.nn.Linear(3, 3)
        if kind == "frozen":
            model.bert.embeddings.requires_grad_(False)

        def validate(precision: Precision) -> float:
            found = infer(training.model, task.encoded, 0, precision, strategy=strategy, budget=64).logits
            self.logits = found
            return float((found.argmax(1) == task.labels).float().mean() * 100)

        training = Training(
            model,
            Sampler(TextRows(task.encoded, 0), 96, 0),
            changes.pop("objective", Classification(task.labels)),
            validate,
            replace(SETTINGS, **changes),
            strategy=strategy,
            checkpoints=folder,
            fingerprint=kind,
        )
        return training

    def strategy(self, name: str, world: int = 2, **options: Any) -> Strategy:
        here, rendezvous = Process(self.rank, world, self.rank, world), f"file://{self.folder}/meet-{world}"
        if name == "sockets":  # what `make` takes where memory cannot be shared
            return DDP(here=here, rendezvous=rendezvous)
        return make(name, here=here, rendezvous=rendezvous, **options)

    def alone(self, kind: str, **changes: Any) -> tuple[dict[str, Any], Any, Any]:
        training = self.reference = self.training(Strategy(), kind, **changes)
        report = training.run()
        return training.strategy.full_state(training.model), report, self.logits

    def same(self, name: str, kind: str = "bert", options: dict[str, Any] | None = None, **changes: Any) -> Any:
        """Train alone and together; report how far apart weights, losses and answers are."""
        wanted, report, answers = self.alone(kind, **changes)
        strategy = self.strategy(name, **(options or {}))
        training = self.training(strategy, kind, self.folder / f"{name}-{kind}", checkpoint_seconds=1e9, **changes)
        together = training.run()
        training._save()
        state = strategy.full_state(training.model)
        sizes = held(training.model, training.optimizer)
        return {
            "weights": _apart(wanted, state) if self.rank == 0 else 0.0,
            "moved": _apart(wanted, self._start(kind)),
            "loss": max(
                abs(a["loss"] - b["loss"])
                for a, b in zip(report.history, together.history, strict=True)
                if a["loss"] is not None
            ),
            "answers": float((answers - self.logits).abs().max()),
            "steps": [report.steps, together.steps],
            "bytes": [sizes.parameters, sizes.gradients, sizes.optimizer],
            "name": together.parallel,
            "reason": together.parallel_reason,
            "parts": [list(part) for part in getattr(strategy, "parts", [])],
            "owned": len(list(training.model.parameters())),
        }

    def _start(self, kind: str) -> dict[str, torch.Tensor]:
        return Strategy().full_state(self.training(Strategy(), kind).model)

    def loads(self, name: str, kind: str, saved: str, world: int) -> Any:
        """Load a checkpoint of another strategy or number of processes; how far from the weights it was made of."""
        strategy = self.strategy(name, world)
        training = self.training(strategy, kind, self.folder / f"{saved}-{kind}")
        training._resume()
        state = strategy.full_state(training.model)
        wanted, _, _ = self.alone(kind)
        more = training.optimizer.state[training.parameters[0]]
        return {
            "weights": _apart(wanted, state) if self.rank == 0 else 0.0,
            "slots": sorted(more),
            "moments": self.moments(training),
            "step": training.state.step,
        }

    def moments(self, training: Any) -> float:
        """Return how far this process's part of the mean gradients is from those of the training alone."""
        alone, found = dict(self.reference.model.named_parameters()), [0.0]
        for name, parameter in training.model.named_parameters():
            own = training.strategy.own(parameter)
            if own is None or not (slots := training.optimizer.state[own]):
                continue
            slot = training.strategy.placed(parameter, slots["exp_avg"])
            offset, shape = place(slot)
            window = tuple(slice(first, first + count) for first, count in zip(offset, shape, strict=True))
            apart = local(slot) - self.reference.optimizer.state[alone[name]]["exp_avg"][window]
            found += [float(apart.abs().max())] if apart.numel() else []
        return max(found)

    def refused(self) -> Any:
        """Bad input on all processes: the messages."""

        class States(RowObjective):
            needs_states = True

            def __call__(self, outputs: Any, index: Any) -> Any:
                return outputs.logits.sum(1)

        pipeline = self.strategy("pipeline")
        return {
            "objective": _message(lambda: self.training(pipeline, "bert", objective=States()).run()),
            "plan": _message(lambda: self.training(self.strategy("tensor"), "bert")),
            "none": _message(lambda: self.strategy("none")),
        }

    def shared(self) -> Any:
        """Numbers over processes."""
        strategy = self.strategy("ddp")
        return {
            "agree": strategy.agree(0.1 + self.rank),
            "total": strategy.total([1.5, float(self.rank)]),
            "gathered": strategy.gather_sum(torch.tensor([1, self.rank])).tolist(),
        }

    def uneven(self) -> Any:
        """A pipeline of rows that cannot be split evenly: gradients as alone."""
        batch = self.training(Strategy()).sampler.dataset.batch(torch.arange(5).numpy())
        objective = Classification(self.task.labels)
        alone, pipeline = Strategy(), Pipeline("", Process(self.rank, 2, self.rank, 2), chunks=4)
        first = alone.prepare(load_classifier(self.task.bert, ["bad", "good"], 0))
        second = pipeline.prepare(load_classifier(self.task.bert, ["bad", "good"], 0))
        losses = [s.gradients(objective, [batch], 5.0, PLAIN) for s in (alone, pipeline)]
        wanted = {name: p.grad for name, p in first.named_parameters()}
        apart = max(float((wanted[name] - p.grad).abs().max()) for name, p in second.named_parameters())
        norms = [alone.norm(list(first.parameters())), pipeline.norm(list(second.parameters()))]
        return {"losses": losses, "apart": apart, "norms": norms}

    def run(self, name: str, do: Any) -> None:
        try:
            self.found[name] = do()
        except Exception:
            self.found[name] = traceback.format_exc()
        (self.folder / f"found-{self.rank}.json").write_text(json.dumps(self.found))


def _message(do: Any) -> str:
    try:
        do()
    except InputError as error:
        return str(error)
    return "accepted"


def _apart(first: dict[str, Any], second: dict[str, Any]) -> float:
    if first.keys() != second.keys():
        return float("inf")
    return max(float((first[name].float() - second[name].float()).abs().max()) for name in first)


def two(checks: Checks) -> None:
    """Run what needs two processes."""
    run = checks.run
    run("ddp", lambda: checks.same("ddp"))
    run("ddp accumulated", lambda: checks.same("ddp", "unused", micro_tokens=40))
    run("ddp sockets", lambda: checks.same("sockets"))
    run("ddp sockets accumulated", lambda: checks.same("sockets", "unused", micro_tokens=40))
    run("ddp schedule-free", lambda: checks.same("ddp", "free", optimizer="schedule-free", schedule="constant"))
    run("ddp partly frozen", lambda: checks.same("ddp", "frozen"))
    run("fsdp", lambda: checks.same("fsdp"))
    run("fsdp accumulated", lambda: checks.same("fsdp", "unused", micro_tokens=40))
    run("pipeline", lambda: checks.same("pipeline"))
    run("pipeline gpipe", lambda: checks.same("pipeline", "llama", {"schedule": "gpipe", "chunks": 2}))
    run("tensor", lambda: checks.same("tensor", "llama"))
    run("fsdp reads ddp", lambda: checks.loads("fsdp", "bert", "ddp", 2))
    run("ddp reads fsdp", lambda: checks.loads("ddp", "bert", "fsdp", 2))
    run("pipeline reads fsdp", lambda: checks.loads("pipeline", "bert", "fsdp", 2))
    run("fsdp reads tensor", lambda: checks.loads("fsdp", "llama", "tensor", 2))
    run("shared", checks.shared)
    run("uneven", checks.uneven)
    run("refused", checks.refused)
    leave()


def four(checks: Checks) -> None:
    """Run what needs four processes."""
    checks.run("four read two", lambda: checks.loads("fsdp", "bert", "fsdp", 4))
    checks.run("four share what two shared", lambda: checks.loads("ddp", "bert", "ddp", 4))
    checks.run("four read stages", lambda: checks.loads("ddp", "bert", "pipeline", 4))
    checks.run("stages", lambda: _message(lambda: checks.training(checks.strategy("pipeline", 4))))
    leave()


def main(folder: Path, rank: int, world: int) -> None:
    """Run the checks of so many processes."""
    torch.set_num_threads(1)
    checks = Checks(folder, rank)
    two(checks) if world == 2 else four(checks)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

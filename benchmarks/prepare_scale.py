"""Preparation of larger files: two workers against one, and the peak memory of all its processes."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from prepare_data import write_stream

POLL = 0.05


def workers(runs: Path, megabytes: int, rounds: int) -> dict[str, Any]:
    """Prepare the same file with one worker and with two, in turn: wall-clock seconds of the preparation alone."""
    file = runs / f"{megabytes}mb.jsonl"
    written = write_stream(file, megabytes * 1_000_000)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    whole: dict[int, list[float]] = {1: [], 2: []}
    digests = set()
    for number in range(rounds):
        for count in (1, 2)[:: -1 if number % 2 else 1]:
            found = prepare(runs, file, count)
            seconds[count].append(found["seconds"])
            whole[count].append(found["wall"])
            digests.add(found["digest"])
            print(f"{count} workers: {found['seconds']:.1f} s", file=sys.stderr, flush=True)
    file.unlink()
    ratios = [one / two for one, two in zip(seconds[1], seconds[2], strict=True)]
    return {
        "workers_speedup": {
            "ratio": round(statistics.median(ratios), 3),
            "range": [round(min(ratios), 3), round(max(ratios), 3)],
            "seconds": seconds,
            "with_start": whole,
            "same_output": len(digests) == 1,
            **written,
        }
    }


def peak_memory(runs: Path, megabytes: int) -> dict[str, Any]:
    """Prepare a large file with two workers; the file is made for it and deleted afterwards."""
    file = runs / "large.jsonl"
    try:
        written = write_stream(file, megabytes * 1_000_000)
        found = prepare(runs, file, 2)
    finally:
        file.unlink(missing_ok=True)
    return {"peak_memory": {"peak_mb": round(found["peak_mb"]), "seconds": found["seconds"], **written}}


def prepare(runs: Path, file: Path, count: int) -> dict[str, Any]:
    """Prepare a file through the command line; the seconds, a digest of the splits, and the memory on the way."""
    out = runs / "prepared"
    shutil.rmtree(out, ignore_errors=True)
    recipe = runs / "prepare.yaml"
    recipe.write_text(
        "task: text-classification\n"
        f"data: {{train: {file}, text: text, label: label, prepare: [clean, deduplicate]}}\n"
        "model: model/\n"
    )
    command = [sys.executable, "-m", "lighten", "prepare", str(recipe), "--out", str(out), "--workers", str(count)]
    begun = time.monotonic()
    with (runs / "prepare.out").open("w") as output, (runs / "prepare.err").open("w") as errors:
        process = subprocess.Popen([*command, "--json"], stdout=output, stderr=errors, text=True)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, memory_of_tree(process.pid))
            time.sleep(POLL)
    wall = time.monotonic() - begun
    if process.returncode:
        raise SystemExit(f"preparation failed:\n{(runs / 'prepare.err').read_text()[-3000:]}")
    report = json.loads((runs / "prepare.out").read_text())
    digest = digest_of(out)
    shutil.rmtree(out)
    return {"seconds": seconds_of(report), "wall": round(wall, 2), "peak_mb": peak, "digest": digest}


def seconds_of(report: dict[str, Any]) -> float:
    """Return the seconds of the preparation in the report."""
    seconds = report["seconds"]
    return float(seconds["total"] if isinstance(seconds, dict) else seconds)


def digest_of(folder: Path) -> str:
    """Return a digest of the splits."""
    import hashlib

    total = hashlib.blake2b(digest_size=16)
    for name in ("train", "validation", "test"):
        with next(folder.rglob(f"{name}.jsonl")).open("rb") as stream:
            while block := stream.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def memory_of_tree(pid: int) -> float:
    """Return the resident memory of a process and its children in MB; what they share counts several times."""
    pages, todo = 0.0, [pid]
    while todo:
        one = todo.pop()
        try:
            status = Path(f"/proc/{one}/status").read_text()
            pages += next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
            todo += [int(child) for child in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
        except (OSError, StopIteration):  # it has just ended
            continue
    return pages * 1024 / 1e6

"""Accuracy on the usual topic benchmarks, by what a build makes of 22 M parameters in 60 minutes of CPU time.

    python benchmarks/bench_classics.py                     # R8, R52, 20 Newsgroups and the reviews: over two hours
    python benchmarks/bench_classics.py --tasks r8 --minutes 10
    python benchmarks/bench_classics.py --record

A build of each data set is asked for the best quality that fits; its clock is the minutes times two cores, its size
that of 22 M numbers in fp32. Selection on validation, the sealed test read once. Beside it stands what Lin et al. 2021
(BertGCN, arXiv:2105.05727, table 2) give for BERT-base on the same splits; the reviews are others than their MR, so
they are not compared. Texts that are copies of others are dropped from training and test first, which they do not do.
The last line is one JSON document.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lighten
from lighten.pipeline.result import read

sys.path.insert(0, str(Path(__file__).parent))
from record import finish, parser
from search_tasks import TASKS, recipe

RUNS = Path(__file__).parents[1] / "runs" / "bench-classics"
PARAMETERS = 22e6
CORES = 2
BERT = {"r8": 97.8, "r52": 96.4, "20 newsgroups": 85.3}
"""Accuracy of BERT-base, by data set."""


def asked(task: str, seed: int, minutes: float) -> dict[str, Any]:
    """Return the recipe of a build that is to be as good as 22 M parameters allow."""
    known = recipe(task, seed, minutes, size_mb=4 * PARAMETERS / 1e6)
    return {**known, "minimise": None, "maximise": "quality"}


def parameters_of(folder: Path) -> int:
    """Return how many numbers the weights of a model folder are."""
    from safetensors import safe_open

    count = 0
    for file in folder.glob("**/*.safetensors"):
        with safe_open(file, framework="np") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (safe_open is no mapping)
                shape = tensors.get_slice(name).get_shape()
                size = 1
                for length in shape:
                    size *= length
                count += size
    return count


def measured(task: str, seed: int, minutes: float) -> dict[str, Any]:
    """Build where that is not done yet; returns the row of a data set."""
    out = RUNS / f"{task}-{minutes:g}-{seed}".replace(" ", "-")
    lighten.build(asked(task, seed, minutes), out)
    result = read(out)
    quality, reference = (result[name]["metrics"]["quality"] for name in ("chosen", "reference"))
    goal = BERT.get(task)
    row = {
        "task": task,
        "seed": seed,
        "chosen": result["chosen"]["name"],
        "accuracy": quality["value"],
        "ci95": quality["ci95"],
        "texts": quality["n"],
        "validation": result["selection"]["quality_validation"],
        "reference": reference["value"],
        "parameters": parameters_of(out / "model"),
        "cpu_minutes": round(CORES * result["seconds"]["total"] / 60, 1),
        "bert": goal,
    }
    if goal is not None:
        within = row["parameters"] <= PARAMETERS and row["cpu_minutes"] <= 1.05 * CORES * minutes
        row["verdict"] = "met" if quality["value"] >= goal and within else "missed"
    print(row, file=sys.stderr, flush=True)
    return row


def main() -> None:
    """Do the data sets and print them."""
    made = parser(__doc__ or "")
    made.add_argument("--tasks", nargs="*", default=[*BERT, "reviews"], choices=TASKS)
    made.add_argument("--minutes", type=float, default=60 / CORES, help="of wall clock on two cores: 30")
    made.add_argument("--seed", type=int, default=0)
    options = made.parse_args()
    RUNS.mkdir(parents=True, exist_ok=True)
    rows = {task: measured(task, options.seed, options.minutes) for task in options.tasks}
    finish("classics", {"minutes": options.minutes, "parts": rows}, options.record)


if __name__ == "__main__":
    main()

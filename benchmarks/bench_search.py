"""The automatic choice: against chance, against its own promises, and against its own clock.

    python benchmarks/bench_search.py                        # everything: more than six hours on 2 cores
    python benchmarks/bench_search.py --parts chance --tasks reviews --seeds 0 --minutes 10
    python benchmarks/bench_search.py --parts promises --builds 4
    python benchmarks/bench_search.py --record

`chance`: builds of ten minutes and the same with every choice of a student drawn at random (search_peers.py), one at a
time; compared by the volume of (points lost on validation, latency, size) that their candidates dominate within ten
points of the reference, its latency and its size; and what each chose, for the latency is what they are asked to
minimise. `promises`: small builds with limits drawn by chance over four data
sets; whatever was said to fit is measured again in a fresh process; and how each kept its clock of two to three
minutes. `again`: another budget in a finished run folder.
`budgets`: balanced, tiny, no-loss and impossible ones on the reviews, one after the other in one run folder.
`olive`: Olive's search over its passes, the fine-tuned checkpoint given, for as many minutes as a build of ours that
has yet to fine-tune; ours is asked for what Olive's chosen model keeps on validation (olive_peer.py, search_peers.py).
Other builds that are finished under runs/bench-search are not done again. The last line is one JSON document.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import olive_compare
from hypervolume import hypervolume
from lighten.measure.cost import costs
from lighten.workshop.limits import value_of
from record import finish, parser
from search_budgets import budgets
from search_peers import olive_chosen
from search_tasks import TASKS, recipe

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "bench-search"
PEER = Path(__file__).parent / "search_peers.py"
POINTS = 10.0
"""Points lost at which a candidate is worth nothing."""
GOALS = {
    "hypervolume_vs_random": (1.3, ">="),
    "violations": (0, "<="),
    "second_budget_share": (0.05, "<="),
    "clock": (1.05, "<="),
    "olive_dominated": (1.0, ">="),
}
"""By number: the goal, and on which side of it the number is to be."""
COSTS = ("latency_ms", "size_mb", "peak_memory_mb")


def build(asked: dict[str, Any], out: Path, who: str = "ours") -> tuple[dict[str, Any], float]:
    """Build in a fresh process; returns the result and the seconds of the whole command."""
    started = time.monotonic()
    request = json.dumps({"recipe": asked, "out": str(out), "who": who})
    done = subprocess.run([sys.executable, str(PEER), request], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{out.name} failed:\n{done.stderr[-3000:]}")
    return json.loads((out / "result.json").read_text()), time.monotonic() - started


def volume(result: dict[str, Any]) -> float:
    """Return the share of the box below the reference that a build's measured candidates dominate."""
    whole = result["reference"]["metrics"]
    rows = []
    for candidate in result["candidates"]:
        metrics = candidate["metrics"]
        if candidate["status"] == "measured" and metrics["quality"] and metrics["latency_ms"]:
            # The chosen one's quality is that of the test; all others have that of validation.
            quality = metrics["quality"]
            delta = quality["delta"] if quality["split"] == "validation" else result["selection"]["delta_validation"]
            rows.append(
                [
                    max(0.0, -delta) / POINTS,
                    metrics["latency_ms"]["p50"] / whole["latency_ms"]["p50"],
                    metrics["size_mb"] / whole["size_mb"],
                ]
            )
    return hypervolume(rows, [1.0, 1.0, 1.0])


def chance(options: Any) -> dict[str, Any]:
    """Builds by the search and by chance: volumes, their ratio, and how the clock was kept."""
    rows = []
    for task in options.tasks:
        for seed in options.seeds:
            row: dict[str, Any] = {"task": task, "seed": seed}
            for who in ("ours", "random"):
                out = RUNS / f"{task}-{options.minutes:g}-{seed}-{who}".replace(" ", "-")
                result, _ = build(recipe(task, seed, options.minutes, quality=-3.0), out, who)
                row[who] = round(volume(result), 4)
                row[f"{who}_trained"] = sum(
                    c["rung"] == "student" and c["status"] == "measured" for c in result["candidates"]
                )
                chosen = result["chosen"]
                row[f"{who}_chosen"], row[f"{who}_verdict"] = chosen["name"], result["verdict"]
                row[f"{who}_p95_ms"] = chosen["metrics"]["latency_ms"]["p95"]
                row[f"{who}_points_lost"] = result["comparison"]["points_lost"]
                row[f"{who}_clock"] = round(result["seconds"]["total"] / (60 * options.minutes), 3)
                print(f"{task}, seed {seed}, {who}: volume {row[who]}", file=sys.stderr, flush=True)
            row["ratio"] = round(row["ours"] / max(row["random"], 1e-9), 3)
            rows.append(row)
    ratios = [row["ratio"] for row in rows]
    return {
        "hypervolume_vs_random": statistics.median(ratios),
        "hypervolume_vs_random_range": [min(ratios), max(ratios)],
        "clock": max(row["ours_clock"] for row in rows),
        "chance": rows,
    }


def promises(options: Any) -> dict[str, Any]:
    """Small builds with limits drawn by chance; what was said to fit is measured again, in a fresh process."""
    rows = []
    for number in range(options.builds):
        generator = random.Random(number)
        task = TASKS[number % len(TASKS)]
        budget = {
            "latency_ms": round(generator.uniform(1, 12) * (1 if task == "reviews" else 3), 2),
            "size_mb": round(generator.uniform(4, 40), 1),
            "quality": -round(generator.uniform(1, 8), 1),
        }
        out = RUNS / f"promise-{number}"
        result, _ = build(recipe(task, number, round(generator.uniform(2, 3), 1), **budget), out)
        again = costs({"it": out / "model"}, result["target"], seed=number + 1, seconds=4.0)["it"]
        broken = [
            name for name in COSTS if budget.get(name) is not None and (value_of(again, name) or 0.0) > budget[name]
        ]
        said = result["verdict"] == "fits"
        row = {"build": number, "task": task, "budget": budget, "verdict": result["verdict"]}
        row |= {"binding": result["binding_limit"], "chosen": result["chosen"]["name"]}
        minutes = result["budget"]["build_minutes"]
        row |= {"minutes": minutes, "clock": round(result["seconds"]["total"] / (60 * minutes), 3)}
        rows.append({**row, "broken": broken if said else []})
        print(rows[-1], file=sys.stderr, flush=True)
    return {
        "violations": sum(bool(row["broken"]) for row in rows),
        "builds_remeasured": sum(row["verdict"] == "fits" for row in rows),
        "small_builds_in_time": sum(row["clock"] <= GOALS["clock"][0] for row in rows),
        "small_builds_clock": max(row["clock"] for row in rows),
        "promises": rows,
    }


def only(result: dict[str, Any], reference: dict[str, Any]) -> dict[str, Any]:
    """Return the section ``search`` that asks for nothing but the chosen model's shape; of a cascade everything.

    Args:
        result: of a finished build.
        reference: the reference's ``config.json``.
    """
    plan = {step["name"]: step for step in result["chosen"]["plan"]}
    if result["chosen"]["rung"] != "student":
        return {"rungs": ["linear"]} if result["chosen"]["rung"] == "linear" else {}
    return {
        "rungs": ["linear", "student"],
        "layers": [plan["layers"]["count"] if "layers" in plan else reference["num_hidden_layers"]],
        "intermediate": [plan["intermediate"]["width"] if "intermediate" in plan else reference["intermediate_size"]],
        "hidden": [plan["width"]["hidden"] if "width" in plan else reference["hidden_size"]],
    }


def again(options: Any) -> dict[str, Any]:
    """Two more budgets in a copy of a finished build's folder, nothing new to be trained: share of its seconds.

    They are kept by the chosen model, and ask for no other shape: with another clock a build would go on exploring.
    """
    task, seed = options.tasks[0], options.seeds[0]
    out = RUNS / f"{task}-{options.minutes:g}-{seed}-ours".replace(" ", "-")
    first, _ = build(recipe(task, seed, options.minutes, quality=-3.0), out)
    copy = RUNS / "again"  # what an earlier run of this benchmark asked would be answered from the journal
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(out, copy)
    whole = first["seconds"]["total"]
    search = only(first, json.loads((out / first["folders"]["reference"] / "config.json").read_text()))
    chosen = first["chosen"]["metrics"]
    rows = []
    for factor in (2.0, 1.2):
        budget = {"latency_ms": round(factor * chosen["latency_ms"]["p95"], 3), "quality": -3.0}
        result, seconds = build({**recipe(task, seed, options.minutes, **budget), "search": search}, copy)
        rows.append({"budget": budget, "seconds": round(seconds, 1), "share": round(seconds / whole, 4)})
        rows[-1]["chosen"] = result["chosen"]["name"]
    return {"second_budget_share": max(row["share"] for row in rows), "again": rows}


def several(options: Any) -> dict[str, Any]:
    """Four budgets on the reviews from one cache."""
    return budgets(RUNS, 8.0)


def olive(options: Any) -> dict[str, Any]:
    """Olive's search for the same minutes, and whether our chosen model is better in points, latency and size."""
    rows = []
    for task in options.tasks:
        for seed in options.seeds:
            name = f"{task}-{options.minutes:g}-{seed}".replace(" ", "-")
            start = RUNS / f"{name}-ours"
            first, _ = build(recipe(task, seed, options.minutes, quality=-3.0), start)
            peer = olive_chosen(start, RUNS / f"{name}-olive", options.minutes, seed)
            row: dict[str, Any] = {"task": task, "seed": seed, "olive_seconds": peer["seconds"]}
            row |= {"olive_models": peer["models"], "olive_said": peer["said"]}
            row |= {"verdict": "Olive found no model that keeps its floor"}
            if peer["folder"] is not None:
                # Rounded up: no model that loses more on validation will do.
                floor = min(-0.01, math.ceil(100 * peer["points"]) / 100)
                out = RUNS / f"{name}-as-good-as-olive"
                ours, seconds = build(recipe(task, seed, options.minutes, quality=floor), out)
                target, data = ours["target"], out / ours["folders"]["data"]
                found = olive_compare.beside(
                    out / "model",
                    {"olive": peer["folder"], "fp32": start / first["folders"]["reference"]},
                    data / "test.jsonl",
                    threads=target["threads"],
                    tokens=[target["tokens"]],
                    seed=seed + 1,
                )
                said = olive_compare.verdict(found["others"]["olive"], 1.0, smaller=True)
                row |= {"floor": floor, "chosen": ours["chosen"]["name"], "our_seconds": round(seconds, 1), **found}
                row |= {"our_verdict": ours["verdict"], "dominates": said.startswith("met"), "verdict": said}
            rows.append(row)
            print(row, file=sys.stderr, flush=True)
    judged = [row["dominates"] for row in rows if "dominates" in row]
    return {**({"olive_dominated": sum(judged) / len(judged)} if judged else {}), "olive": rows}


PARTS = {"chance": chance, "promises": promises, "again": again, "budgets": several, "olive": olive}


def main() -> None:
    """Do the parts and print them."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--parts", nargs="*", default=[*PARTS], choices=[*PARTS])
    arguments.add_argument("--tasks", nargs="*", default=["reviews", "r52"], choices=TASKS)
    arguments.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("--builds", type=int, default=20)
    options = arguments.parse_args()
    RUNS.mkdir(parents=True, exist_ok=True)
    numbers: dict[str, Any] = {}
    for part in options.parts:
        numbers |= PARTS[part](options)
    for name, (goal, side) in GOALS.items():
        if name in numbers:
            met = numbers[name] >= goal if side == ">=" else numbers[name] <= goal
            print(f"{name}: {numbers[name]:g}, goal {side} {goal:g}: {'met' if met else 'missed'}")
    finish("search", {"minutes": options.minutes, "seeds": options.seeds, **numbers}, options.record)


if __name__ == "__main__":
    main()

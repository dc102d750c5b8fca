"""The chosen model against the graph-optimised fp32 reference: speed, size, quality, measured once more.

    python benchmarks/bench_compress.py                      # the film reviews (examples/reviews.yaml)
    python benchmarks/bench_compress.py --data FOLDER/sst2   # SST-2 instead: train.tsv, dev.tsv, test.tsv
    python benchmarks/bench_compress.py --builds product     # one of the builds alone
    python benchmarks/bench_compress.py --parts olive        # int8 alone, beside Olive's (olive_peer.py)
    python benchmarks/bench_compress.py --record

There is a build of the recipe as it stands, and one per goal, in a folder of its own and with the goal's points as
the floor under the quality: a build aims at its floor. Builds where there is no finished build yet, then measures both
models again in fresh processes: same threads, interleaved, spinning off; quality on the sealed test with a paired
bootstrap interval. Ratios are the reference's over the chosen model's (above 1 is better for us); `points_lost` is
what quality costs. A goal is met by the numbers; where an interval reaches beyond it, the verdict says so. `built_in`
tells when and with what the build was made.

`--parts olive` is about the int8 alone: the fine-tuned reference in our dynamic int8 beside the same checkpoint in
Olive's, at one text of 32 and of 128 tokens and on the same test. It needs an environment of its own, which it makes
(olive_peer.py), and is not done unless asked for. The last line is one JSON document.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lighten
from lighten.measure.evidence import gather
from lighten.pipeline.result import read

sys.path.insert(0, str(Path(__file__).parent))
import olive_compare
import olive_configs
import olive_peer
from record import finish, parser

ROOT = Path(__file__).parents[1]
PARTS = {"train": "train", "validation": "dev", "test": "test"}
AS_IT_STANDS = "example"
"""The build of the recipe with its own budget."""
GOALS = {
    "first step": {"speedup_batch1": 4.0, "points_lost": 2.0},
    "product": {"speedup_batch1": 9.0, "points_lost": 1.0},
}

OLIVE_SPEEDUP = 1.3
"""How many times faster than Olive's int8 ours is to be, at no fewer points."""
LENGTHS = (32, 128)
"""Tokens of a text at which both int8s are timed."""


def sst2(data: Path, folder: Path) -> dict[str, str]:
    """Write SST-2's headerless files as CSV with a header; returns them by part."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for part in ("train", "dev", "test"):
        rows = [
            line.rsplit("\t", 1) for line in (data / f"{part}.tsv").read_text(encoding="utf-8").splitlines() if line
        ]
        with (folder / f"{part}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([["text", "label"], *rows])
        written[part] = str(folder / f"{part}.csv")
    return written


def verdict(goal: Mapping[str, float], comparison: Mapping[str, Any]) -> str:
    """Return whether a goal is met, and whether the whole of each interval is on its side of it."""
    speed, points = goal["speedup_batch1"], goal["points_lost"]
    if comparison["speedup_batch1"] < speed or comparison["points_lost"] > points:
        return "missed"
    doubts = []
    if comparison["speedup_batch1_ci95"][0] < speed:
        doubts.append(f"interval not above {speed:g} times")
    if comparison["points_lost_ci95"][1] > points:
        doubts.append(f"interval not below {points:g} points")
    return ", ".join(["met", *doubts])


def measured(out: Path, recipe: Path, changes: Sequence[str]) -> dict[str, Any]:
    """Build where that is not done yet, and return what the chosen model and the reference measure now."""
    built = lighten.build(recipe, out, set=list(changes))
    result = read(out)
    # The splits that this very result was made from: a run folder may hold those of other recipes too.
    test = out / result["folders"]["data"] / "test.jsonl"
    found = gather(
        chosen=out / "model",
        reference=out / result["folders"]["reference"],
        test=test,
        target=result["target"],
        seed=result["seed"] + 1,
    )
    print(f"{built.verdict}: {result['sentence']}")
    finished = time.gmtime((out / "result.json").stat().st_mtime)
    return {
        **found["comparison"],
        "chosen": {"name": result["chosen"]["name"], **found["chosen"]},
        "reference": found["reference"],
        "build_seconds": result["seconds"]["total"],
        "built_in": {"date": time.strftime("%Y-%m-%d", finished), "versions": result["versions"]},
        "seed": result["seed"],
    }


def olive(out: Path, recipe: Path, changes: Sequence[str]) -> dict[str, Any]:
    """Return our int8 of a build's reference beside Olive's of the same checkpoint; builds where there is none yet."""
    if not (out / "result.json").is_file():
        lighten.build(recipe, out, set=list(changes))
    result = read(out)
    reference, data = (out / result["folders"][name] for name in ("reference", "data"))
    work = out.with_name(f"{out.name}-olive")
    ours, others, seconds = olive_compare.own_int8(reference, work / "ours"), {"fp32": reference}, {}
    for name, options in olive_configs.INT8.items():
        folder = work / name.replace(",", "").replace(" ", "-")
        made = olive_peer.run(olive_configs.int8(reference, folder, options), folder, reference, most=900)
        if made["graph"] is None:
            raise SystemExit(f"Olive made no model, see {folder / 'log'}")
        others[name] = olive_compare.bundle(made["graph"], reference, folder / "model")
        seconds[name] = made["seconds"]
    threads, test = result["target"]["threads"], data / "test.jsonl"
    found = olive_compare.beside(
        ours, others, test, threads=threads, tokens=LENGTHS, seed=result["seed"] + 1, seconds=20.0
    )
    rows = found["others"]
    for name, spent in seconds.items():
        rows[name] |= {"verdict": olive_compare.verdict(rows[name], OLIVE_SPEEDUP), "seconds": spent}
        print(f"int8 against Olive's ({name}), {OLIVE_SPEEDUP:g} times, not less accurate: {rows[name]['verdict']}")
    return {"goal": {"speedup": OLIVE_SPEEDUP, "points_ahead": 0}, "olive": olive_peer.VERSION, **found}


def main() -> None:
    """Build, measure, print."""
    made = parser(__doc__ or "")
    builds = [AS_IT_STANDS, *GOALS]
    made.add_argument("--parts", nargs="*", default=["builds"], choices=["builds", "olive"], help="what to do: builds")
    made.add_argument("--builds", nargs="*", default=builds, choices=builds, help="which builds; all when left out")
    arguments = made.parse_args()
    recipe = ROOT / "examples" / "reviews.yaml"
    data = "sst2" if arguments.data else "reviews"
    changes: list[str] = []
    if arguments.data:
        files = sst2(arguments.data, ROOT / "runs" / "data" / "sst2")
        changes = [
            "data={text: text, label: label}",
            *(f"data.{key}={files[part]}" for key, part in PARTS.items()),
            "name=sst2",
        ]
    numbers: dict[str, Any] = {"data": data}
    wanted = arguments.builds if "builds" in arguments.parts else []
    if AS_IT_STANDS in wanted:
        numbers |= measured(ROOT / "runs" / data, recipe, changes)
    parts: dict[str, Any] = {}
    for name, goal in GOALS.items():
        if name in wanted:
            out = ROOT / "runs" / f"{data}-{name.replace(' ', '-')}"
            found = measured(out, recipe, [*changes, f"budget.quality={-goal['points_lost']}"])
            said = verdict(goal, found)
            aim = f"{goal['speedup_batch1']:g} times at no more than {goal['points_lost']:g} points"
            print(f"{name}: {aim}: {said}")
            parts[name] = {"goal": goal, "verdict": said, **found}
    if "olive" in arguments.parts:
        parts["olive int8"] = olive(ROOT / "runs" / data, recipe, changes)
    finish("compress" + ("-sst2" if arguments.data else ""), {**numbers, "parts": parts}, arguments.record)


if __name__ == "__main__":
    main()

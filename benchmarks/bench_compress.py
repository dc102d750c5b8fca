"""The chosen model against the graph-optimised fp32 reference: speed, size, quality, measured once more.

    python benchmarks/bench_compress.py                      # the film reviews (examples/reviews.yaml)
    python benchmarks/bench_compress.py --data FOLDER/sst2   # SST-2 instead: train.tsv, dev.tsv, test.tsv
    python benchmarks/bench_compress.py --record

Builds where there is no finished build yet, then measures both models again in fresh processes: same threads,
interleaved, spinning off; quality on the sealed test with a paired bootstrap interval. Ratios are the
reference's over the chosen model's (above 1 is better for us); `points_lost` is what quality costs.
The last line is one JSON document.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import lighten
from lighten.measure.evidence import gather
from lighten.pipeline.result import read

sys.path.insert(0, str(Path(__file__).parent))
from record import finish, parser

ROOT = Path(__file__).parents[1]
PARTS = {"train": "train", "validation": "dev", "test": "test"}
GOALS = {
    "first step": {"speedup_batch1": 4.0, "points_lost": 2.0},
    "product": {"speedup_batch1": 9.0, "points_lost": 1.0},
}


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


def main() -> None:
    """Build, measure, print."""
    arguments = parser(__doc__ or "").parse_args()
    recipe = ROOT / "examples" / "reviews.yaml"
    out = ROOT / "runs" / "reviews"
    changes: list[str] = []
    if arguments.data:
        files = sst2(arguments.data, ROOT / "runs" / "data" / "sst2")
        out = ROOT / "runs" / "sst2"
        changes = [
            "data={text: text, label: label}",
            *(f"data.{key}={files[part]}" for key, part in PARTS.items()),
            "name=sst2",
        ]
    built = lighten.build(recipe, out, set=changes)
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
    comparison = found["comparison"]
    print(f"{built.verdict}: {result['sentence']}")
    for name, goal in GOALS.items():
        met = (
            comparison["speedup_batch1"] >= goal["speedup_batch1"] and comparison["points_lost"] <= goal["points_lost"]
        )
        wanted = f"{goal['speedup_batch1']:g} times at no more than {goal['points_lost']:g} points"
        print(f"{name}: {wanted}: {'met' if met else 'missed'}")
    numbers = {
        "data": "sst2" if arguments.data else "reviews",
        **comparison,
        "chosen": {"name": result["chosen"]["name"], **found["chosen"]},
        "reference": found["reference"],
        "build_seconds": result["seconds"]["total"],
        "seed": result["seed"],
    }
    finish("compress" + ("-sst2" if arguments.data else ""), numbers, arguments.record)


if __name__ == "__main__":
    main()

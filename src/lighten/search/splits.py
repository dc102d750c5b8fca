"""Fewer texts to judge by, where a clock is too short to ask the reference about all of validation and test.

A build of three minutes cannot ask a large model about ten thousand long texts and keep its clock. It asks about a
random part of each split instead, decided and drawn before anything is trained, and says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from lighten.export.bundle import link
from lighten.pipeline import Artifact, digest
from lighten.pipeline.artifact import MANIFEST
from lighten.pipeline.examples import Examples, read_examples, write_examples
from lighten.search.memory.allotted import is_done
from lighten.search.memory.known import sealed_test
from lighten.search.memory.sessions import TIMED
from lighten.search.run import Run
from lighten.search.rungs.reference import SECONDS
from lighten.search.timing import PROOF_PASSES, VALIDATION_PASSES, seconds_per_text

SHARES = {"validation": 0.1, "test": 0.25}
"""Of the clock, by split: what the reference and the models beside it may take to answer it once."""
PASSES = {"validation": VALIDATION_PASSES, "test": PROOF_PASSES}
LEAST = {"validation": 500, "test": 1000}
"""Texts that are asked whatever the clock says: fewer decide nothing."""
WORTH = 0.8
"""Share of a split above which it is asked as a whole."""


def sizes(run: Run, reference_ms: float) -> dict[str, int]:
    """Return how many texts of each split a build has time for; all of them where that is most, or nothing hurries.

    Floors under single classes need every example there is.

    Args:
        run: the build.
        reference_ms: median of a call of the reference at the target.
    """
    found = {"validation": len(run.validation), "test": run.test_rows}
    if not run.by_clock or run.recipe.budget.quality_per_class is not None:
        return found
    seconds = seconds_per_text(run, reference_ms)
    for name, count in found.items():
        room = SHARES[name] * 60 * run.recipe.budget.build_minutes / (PASSES[name] * seconds)
        room = max(LEAST[name], int(float(f"{room:.2g}")))
        found[name] = room if room < WORTH * count else count
    return found


def fit_splits(run: Run, reference_ms: Callable[[], float]) -> None:
    """Let the build judge by as many texts as its clock allows; the same ones when it goes on.

    What is trained then is another budget's only where that has the same clock: what was decided and trained on all
    texts stays as it is, and where a reference of the whole splits is there already nothing is drawn.

    Args:
        run: the build.
        reference_ms: measures the reference's shape; not called where the splits are small in any case.
    """
    counts = {"validation": len(run.validation), "test": run.test_rows}
    small = all(count <= LEAST[name] for name, count in counts.items())
    if small or not run.by_clock or run.recipe.budget.quality_per_class is not None or is_done(run, SECONDS):
        return
    minutes = f"{run.recipe.budget.build_minutes:g} minutes"
    wanted = run.journal.decide(f"texts of {minutes}", run.scope, lambda: sizes(run, reference_ms()))
    if wanted == counts:
        return
    timed = run.journal.all(TIMED, scope=run.scope)
    use_splits(run, _drawn(run, wanted))
    run.scope, run.budget_scope = (digest([scope, wanted]) for scope in (run.scope, run.budget_scope))
    if timed:  # the reference's shape costs what it cost
        known = {key: timed[-1][key] for key in ("conditions", "stage", "metrics")}
        run.journal.write(TIMED, scope=run.scope, **known)
    parts = [f"{wanted[name]:,} of {count:,} {name} texts" for name, count in counts.items() if wanted[name] < count]
    run.progress.note(f"{minutes} are too short to ask about every text: {' and '.join(parts)} are drawn")


def use_splits(run: Run, table: Artifact) -> None:
    """Judge by the splits of this table from now on."""
    run.table, run.validation = table, read_examples(table.path / "validation.jsonl")
    run.test_rows = int(table.metrics["splits"]["test"]["rows"])


def words_of(data: dict[str, Any]) -> str:
    """Return a sentence on what was drawn of the test, empty where nothing was; `data` as in result.json."""
    test = data.get("drawn", {}).get("test")
    if test is None or test["rows"] == test["of"]:
        return ""
    return f" The clock left time for {test['rows']:,} of the {test['of']:,} test texts, drawn by chance."


def _drawn(run: Run, wanted: dict[str, int]) -> Artifact:
    """Return the table with so many texts of each split; the training texts are all there."""
    source, seed = run.table, run.recipe.seed

    def work(target: Path) -> dict[str, Any]:
        metrics = source.metrics
        metrics["drawn"], metrics["splits"] = {"sealed": sealed_test(source)}, dict(metrics["splits"])
        for file in sorted(item for item in source.path.iterdir() if item.is_file() and item.name != MANIFEST):
            if file.stem not in wanted or file.suffix != ".jsonl":
                link(file, target / file.name)
                continue
            whole = read_examples(file)
            some = draw(whole, wanted[file.stem], seed)
            write_examples(target / file.name, some)
            counts = Counter(some.labels)
            by_label = {label: counts[index] for index, label in enumerate(run.labels)}
            metrics["splits"][file.stem] = {**metrics["splits"][file.stem], "rows": len(some), "by_label": by_label}
            metrics["drawn"][file.stem] = {"rows": len(some), "of": len(whole)}
        return metrics

    return run.workspace.produce("table", {"drawn": wanted, "seed": seed}, [source], work)


def draw(examples: Examples, count: int, seed: int) -> Examples:
    """Return so many examples, each with the same chance, in the order they were in."""
    if count >= len(examples):
        return examples
    kept = np.sort(np.random.default_rng(seed).choice(len(examples), count, replace=False)).tolist()
    more = {name: [values[place] for place in kept] for name, values in examples.more.items()}
    columns: dict[str, Any] = {"more": more}
    for name in (field.name for field in fields(Examples) if field.name != "more"):
        values = getattr(examples, name)
        columns[name] = None if values is None else [values[place] for place in kept]
    return Examples(**columns)

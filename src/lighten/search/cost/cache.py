"""Gets a cost model: from the run's journal, from the user's cache if the machine still agrees with it, or anew."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lighten.measure.cost import time_in_fresh_process, timing_run
from lighten.models.affine import norm_of
from lighten.models.attention.pattern import patterns_of
from lighten.models.checkpoint import read_object
from lighten.models.layout import names_of, table_width
from lighten.pipeline import digest, read_json, write_json
from lighten.progress import Progress
from lighten.runtime.cut import chunk_starts
from lighten.search.cost.grid import Grid, make_grid
from lighten.search.cost.model import Chunked, Conditions, CostModel
from lighten.search.cost.samples import measure_grid
from lighten.search.cost.setting import Setting, write_plain_tokenizer, write_shape
from lighten.search.memory.known import environment, wants_memory
from lighten.search.run import Run
from lighten.sources.cache import cache_root

FORMAT = 1
AGREED = 0.25
"""Relative difference up to which a cached model is trusted."""
CHECKS = ((2, False), (5, True))
"""Shapes of the grid, and whether in int8, that a cached model is checked with."""


def cost_model(run: Run) -> CostModel:
    """Return the cost model for a build; the same one again when the build is resumed."""
    setting = setting_of(run)
    fitted: list[CostModel] = []

    def work() -> dict[str, Any]:
        fitted.append(fit_cost_model(setting, run.progress, run.clock.tick))
        return fitted[0].to_dict()

    decision = f"cost model at {setting.target}, threads {sorted(setting.threads)}, memory {setting.memory}"
    found = CostModel.from_dict(run.journal.decide(decision, run.scope, work))
    return found if fitted else replace(found, source="journal", seconds=0.0)


def setting_of(run: Run) -> Setting:
    """Return what a build's cost model is fitted for; memory is measured where the budget or the objective asks."""
    at = conditions_of(run)
    return Setting(
        config=run.config,
        full=run.full,
        tokenizer=run.model,
        labels=tuple(run.labels),
        batch=at["batch"] * at["chunks"],
        tokens=at["tokens"],
        threads=(at["threads"],),
        memory=wants_memory(run.recipe),
        seed=run.recipe.seed,
    )


def conditions_of(run: Run) -> Chunked:
    """Return ``batch``, ``tokens``, ``threads`` and ``chunks`` for `CostModel.predict` at the target of a build."""
    target, longest, chunks = run.recipe.target, run.max_tokens, 1
    if target.tokens > longest and run.long.strategy == "chunk":
        chunks = len(chunk_starts(target.tokens, longest, min(run.long.overlap, longest // 4)))
    tokens = min(target.tokens, longest)
    return {"batch": target.batch, "tokens": tokens, "threads": target.threads, "chunks": chunks}


def fit_cost_model(
    setting: Setting, progress: Progress | None = None, tick: Callable[[], None] = lambda: None, cached: bool = True
) -> CostModel:
    """Return the cost model of this machine, from the user's cache where two new measurements agree with it.

    Args:
        setting: what it is for.
        progress: where to report.
        tick: called now and then, for a clock to save what was spent.
        cached: whether an earlier one may be used.
    """
    progress, started = progress or Progress(), time.monotonic()
    grid = make_grid(
        setting.full,
        batch=setting.batch,
        tokens=setting.tokens,
        threads=setting.threads,
        longest=setting.longest,
    )
    file = cache_file(setting, grid)
    known = _read(file) if cached else None
    if known is not None and (off := disagreement(known, setting, grid)) <= AGREED:
        found = replace(known, source="cached")
    else:
        if known is not None:
            progress.note(
                f"the cost model of this machine is off by {100 * off:.0f}% now: it is fitted anew"
                " (is something else running?)"
            )
        found = CostModel.fit(measure_grid(setting, grid, progress, tick), table_width(setting.config))
        _write(file, found, progress)
    found = found.with_tokenizer(setting.tokenizer, setting.full.vocabulary)
    return replace(found, seconds=round(time.monotonic() - started, 2))


def cache_file(setting: Setting, grid: Grid) -> Path:
    """Return where the user's cache keeps the model for this machine, architecture, grid and these versions."""
    config = setting.config
    patterns = patterns_of(config, setting.full.layers)
    architecture = {
        "type": config["model_type"],
        "norm": norm_of(config),
        "activation": config.get(names_of(config).key_of("hidden_act")),
        "patterns": [None if pattern is None else vars(pattern) for pattern in patterns],
        "pooling": config.get("classifier_pooling"),
        "table_width": table_width(setting.config),
        "positions": setting.full.positions,
    }
    tokenizer = [read_object(setting.tokenizer / "tokenizer.json")["model"]["type"], setting.full.vocabulary]
    memory = tokenizer if setting.memory else None
    key = digest([FORMAT, environment(), architecture, grid.to_dict(), setting.target, memory])
    return cache_root().parent / "costs" / f"{key}.json"


def disagreement(model: CostModel, setting: Setting, grid: Grid) -> float:
    """Return by what share two shapes of the grid, measured again, are off at most."""
    scratch = Path(tempfile.mkdtemp(prefix="lighten-costs."))
    try:
        plain = write_plain_tokenizer(scratch / "tokenizer", 8)
        chosen = {f"{i}-{int8}": (grid.shapes[i % len(grid.shapes)], int8) for i, int8 in CHECKS}
        folders = {name: write_shape(setting, scratch / name, *which, plain) for name, which in chosen.items()}
        run = timing_run(setting.batch, setting.tokens, 30, 0.5)
        threads = setting.threads[0]
        timed = time_in_fresh_process(folders, threads, [run], setting.seed)[0]
        at: Conditions = {"batch": setting.batch, "tokens": setting.tokens, "threads": threads}
        expected = {name: model.predict(*which, **at)["latency_ms"]["p50"] for name, which in chosen.items()}
        return max(abs(timed[name].p50 / expected[name] - 1) for name in chosen)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _read(file: Path) -> CostModel | None:
    try:
        content = read_json(file)
        return CostModel.from_dict(content["model"]) if content["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none yet, or damaged: it is measured again


def _write(file: Path, model: CostModel, progress: Progress) -> None:
    try:
        write_json(file, {"format": FORMAT, "model": model.to_dict()})
    except OSError as error:
        progress.note(f"the cost model is not kept for later: {error}; set LIGHTEN_CACHE to another folder")

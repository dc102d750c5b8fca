"""Times models side by side: one process, short blocks in random order, so that drift hits all alike.

Timing one model after the other compares the machine at two moments: another process, a warmer CPU or a lower
clock then looks like a slower model. Here every round times each model for a moment, in an order drawn anew, and
ratios are formed within a round.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.measure.cascade import Call, calls_of, mix
from lighten.measure.latency import Latency, summarise
from lighten.measure.loading import load_at
from lighten.runtime.cascade import Cascade
from lighten.runtime.classifier import Classifier
from lighten.runtime.cut import chunk_starts
from lighten.runtime.tokens import Ids

MIN_CALLS = 60
"""Fewer timings cannot hold a 95th percentile."""
_BLOCK_MS = 25.0
_WARMUP_MS = 25.0


def time_models(folders: Mapping[str, Path], *, threads: int, **options: Any) -> dict[str, Latency]:
    """Time models side by side in this process, spinning off for all; `options` are those of `time_classifiers`."""
    loaded = {name: load_at(path, threads) for name, path in folders.items()}
    return time_classifiers(loaded, **options)


def time_classifiers(
    loaded: Mapping[str, Classifier | Cascade],
    *,
    batch: int,
    tokens: int,
    calls: int = MIN_CALLS,
    seconds: float = 1.0,
    warmup: int = 2,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Latency]:
    """Time loaded classifiers side by side.

    Args:
        loaded: the models. Open them with spinning off: live sessions otherwise spin on each other's cores.
        batch: texts per call.
        tokens: tokens per text, none of them padding.
        calls: timed calls per model at least, if they take no more than eight times `seconds`.
        seconds: goes on for this long when `calls` are reached sooner; all models together. 0: no time limit.
        warmup: calls before each block that are not counted: the caches still hold the model before.
        seed: of the token ids and of the order.
        progress: called with the share that is done, between blocks.

    Returns:
        By name; all have the same number of rounds. Of a cascade a `Mixed`, with the share that its folder says.

    Raises:
        InputError: more tokens than a model has positions.
    """
    random = np.random.default_rng(seed)
    kinds = {name: _calls(item, batch, tokens, random) for name, item in loaded.items()}
    calls_by = {(name, kind): call for name, found in kinds.items() for kind, call in found.items()}
    first = {name: _warm(call, max(1, warmup)) for name, call in calls_by.items()}
    blocks = {name: _block_size(milliseconds, calls) for name, milliseconds in first.items()}
    least = max((-(-calls // size) for size in blocks.values()), default=0)
    rounds: dict[tuple[str, int], list[list[float]]] = {name: [] for name in calls_by}
    names, started, done = list(calls_by), time.monotonic(), 0
    with _undisturbed():
        while not _enough(done, least, time.monotonic() - started, seconds):
            for index in random.permutation(len(names)):
                name = names[index]
                if first[name] < _WARMUP_MS:  # a longer call fetches its weights anew in any case
                    _warm(calls_by[name], warmup)
                rounds[name].append(_block(calls_by[name], blocks[name]))
            done += 1
            if progress is not None:
                progress(min(1.0, done / least, (time.monotonic() - started) / max(seconds, 1e-9)))
    timed = {name: {kind: np.array(rounds[name, kind]) for kind in found} for name, found in kinds.items()}
    return {name: _latency(item, timed[name], batch, tokens, seed) for name, item in loaded.items()}


def throughput(
    folders: Mapping[str, Path], *, batch: int = 32, tokens: int, threads: int, seconds: float = 2.0, seed: int = 0
) -> dict[str, float]:
    """Return the texts per second of each model in large batches, timed side by side."""
    timed = time_models(
        folders, batch=batch, tokens=tokens, threads=threads, calls=8, seconds=seconds, warmup=1, seed=seed
    )
    return {name: latency.per_second for name, latency in timed.items()}


def vocabulary_of(classifier: Classifier) -> int:
    """Return how many token ids the graph knows: the configuration's word, else the tokenizer's."""
    try:
        size = json.loads((classifier.folder.path / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    except (OSError, ValueError, KeyError):
        return classifier.vocabulary
    return int(size)


def random_inputs(classifier: Classifier, batch: int, tokens: int, random: np.random.Generator) -> tuple[Ids, Ids]:
    """Return token ids drawn from the whole vocabulary and a mask without padding, int64 [batch, tokens] each.

    Texts of more tokens than the model reads at once are what it makes of them: several chunks each, or cut ones.

    Raises:
        InputError: more tokens than the model reads, and nothing says what becomes of long texts.
    """
    longest, long = classifier.folder.max_tokens, classifier.long
    if tokens > longest and long.strategy == "chunk":
        batch *= len(chunk_starts(tokens, longest, min(long.overlap, longest // 4)))
    if tokens > longest and long.strategy != "truncate":
        tokens = longest
    if tokens > classifier.folder.max_tokens:
        raise InputError(
            f"{tokens} tokens asked for, but this model reads at most {classifier.folder.max_tokens}",
            str(classifier.folder.path),
        )
    ids = random.integers(0, vocabulary_of(classifier), (batch, tokens), dtype=np.int64)
    return ids, np.ones_like(ids)


def _calls(item: Classifier | Cascade, batch: int, tokens: int, random: np.random.Generator) -> dict[int, Call]:
    """Return what to time: one call, or of a cascade one for each number of texts passed on."""
    if isinstance(item, Cascade):
        return calls_of(item, batch, tokens, random, random_inputs)
    ids, mask = random_inputs(item, batch, tokens, random)
    return {0: lambda: item.run(ids, mask)}


def _latency(item: Classifier | Cascade, timed: dict[int, Any], batch: int, tokens: int, seed: int) -> Latency:
    parts = item.folder.cascade if isinstance(item, Cascade) else None
    if parts is not None:
        return mix(timed, parts.passed_on, parts.examples, batch, tokens, item.threads, seed)
    return summarise(timed[0], batch, tokens, item.threads, seed)


def _warm(call: Call, warmup: int) -> float:
    """Run uncounted calls, fewer when they are long; returns the milliseconds of the last one."""
    spent = last = 0.0
    for _ in range(warmup):
        last = _block(call, 1)[0]
        spent += last
        if spent > _WARMUP_MS:
            break
    return last


def _enough(done: int, least: int, elapsed: float, seconds: float) -> bool:
    """Stop when there are calls enough and the time is up, or, with very slow models, long after it."""
    return elapsed >= seconds if done >= least else done >= 3 and elapsed > 8 * seconds > 0


def _block_size(milliseconds: float, calls: int) -> int:
    """Short enough for many rounds, long enough that warming up does not cost more than timing."""
    return int(np.clip(_BLOCK_MS / max(milliseconds, 1e-6), 1, max(1, min(10, calls // 6))))


def _block(call: Call, calls: int) -> list[float]:
    clock = time.perf_counter_ns
    timings = []
    for _ in range(calls):
        start = clock()
        call()
        timings.append((clock() - start) / 1e6)
    return timings


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the garbage collector out of the timings."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

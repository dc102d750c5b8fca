"""The comparison: from what is asked to one JSON-ready document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lighten.errors import InputError
from lighten.measure.machine import describe, memory_mb, usable_cores
from lighten.measure.process import ask
from lighten.models.checkpoint import read_config
from lighten.models.layout import check_post_norm, shape_of
from lighten.progress import Progress
from lighten.sources import resolve
from lighten.workshop.compare_attention.kinds import SHAPE, USUAL, check_kinds, pattern_of
from lighten.workshop.compare_attention.outcome import point_rows, sentence_of, slope_rows
from lighten.workshop.compare_attention.point import CALL_SECONDS, CALLS, MODULE
from lighten.workshop.compare_attention.quality import judged, left_out
from lighten.workshop.compare_attention.rounds import Rounds, described
from lighten.workshop.compare_attention.sample import Drawn, sample_of

LENGTHS = (512, 1024, 2048, 4096, 8192, 16384)
WHATS = ("forward", "training")
MOST_TOKENS = 200_000
DEFAULT_MINUTES = 15.0
DEFAULT_WINDOW = 64
DEFAULT_ROUNDS = 3


def compare_attention(
    model: str | Path | None = None,
    tokens: Sequence[int] = LENGTHS,
    *,
    kinds: Sequence[str] = USUAL,
    window: int = DEFAULT_WINDOW,
    what: Sequence[str] = WHATS,
    minutes: float = DEFAULT_MINUTES,
    rounds: int = DEFAULT_ROUNDS,
    threads: int | None = None,
    seed: int = 0,
    config: dict[str, Any] | None = None,
    data: str | None = None,
    text: str = "text",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure time, peak memory and agreement with full attention by length, each point in a process of its own.

    Args:
        model: source of a BERT-type model; its shape decides on time and memory, its weights on agreement. 6 layers
            of 384 with 12 heads, and no agreement, when left out.
        tokens: lengths of the one text in a batch.
        kinds: of `lighten.workshop.compare_attention.kinds.KINDS`.
        window: tokens that a token sees on each side.
        what: ``forward`` (as in inference), ``training`` (forward and backward, no optimiser), or both.
        minutes: for everything.
        rounds: how often each point is measured, if time allows.
        threads: the usable cores when left out.
        seed: of weights, texts and orders.
        config: instead of `model`, the content of a config.json.
        data: source of texts that agreement is judged on; random tokens when left out.
        text: their column.
        progress: where to report.

    Returns:
        A document with ``points`` (one per kind, length and work), ``slopes``, ``quality`` (see
        `lighten.workshop.compare_attention.quality.judged`), ``sentence`` and the conditions.

    Raises:
        InputError: unknown kinds, lengths or windows that make no sense, a model of another type; texts that cannot
            be read, or for which there is no model with weights.
    """
    progress = progress or Progress()
    lengths, kinds, whats = _checked(tokens, kinds, window, what, minutes)
    folder = None if config or model is None else _folder(model, progress)
    config = config or (dict(SHAPE) if folder is None else read_config(folder))
    check_post_norm(config, "the comparison", "model" if folder is None else str(folder / "config.json"))
    shape = shape_of(config, 1)
    threads = threads or usable_cores()
    for kind in kinds:
        pattern_of(kind, window)
    sample, why = sample_of(folder, config, data, text, seed, progress)

    def measure(kind: str, length: int, wanted: list[str]) -> dict[str, Any]:
        request = {
            "do": "attention",
            "kind": kind,
            "config": config,
            "tokens": length,
            "window": window,
            "what": wanted,
            "threads": threads,
            "seed": seed,
            "calls": CALLS,
            "seconds": CALL_SECONDS,
        }
        stage.update(last=f"{kind} at {length:,}")
        return dict(ask(request, worker=MODULE))

    def compare(wanted: list[str], drawn: Drawn) -> dict[str, Any]:
        stage.update(last=f"agreement at {len(drawn.ids[0]):,}")
        request = {
            "do": "agreement",
            "model": str(folder),
            "config": config,
            "kinds": wanted,
            "ids": drawn.ids,
            "window": window,
            "threads": threads,
            "seed": seed,
        }
        return dict(ask(request, worker=MODULE))

    quality = left_out(why)

    def judge() -> None:
        if sample is not None:
            quality.update(judged(plan, sample, compare, str(model), shape.positions))

    with progress.stage("attention by length", total=minutes * 60) as stage:
        plan = Rounds(
            kinds,
            lengths,
            whats,
            shape=shape,
            window=window,
            memory=memory_mb(),
            seconds=minutes * 60,
            rounds=rounds,
            seed=seed,
            ask=measure,
            told=lambda spent: stage.update(done=spent),
        )
        points = plan.run(judge)
    rows = point_rows(points)
    document = {
        "schema": 1,
        "kind": "attention",
        "model": {"source": str(model) if model else None, **_shape_facts(config, shape)},
        "window": window,
        "batch": 1,
        "threads": threads,
        "seed": seed,
        "rounds": plan.done,
        "minutes": minutes,
        "seconds": round(plan.now() - plan.started, 1),
        "what": list(whats),
        "tokens": list(lengths),
        "kinds": described(kinds),
        "points": rows,
        "slopes": slope_rows(rows),
        "quality": quality,
        "machine": describe(),
    }
    return {"schema": 1, "sentence": sentence_of(document), **document}


def _checked(
    tokens: Sequence[int], kinds: Sequence[str], window: int, what: Sequence[str], minutes: float
) -> tuple[tuple[int, ...], tuple[str, ...], tuple[str, ...]]:
    check_kinds(tuple(kinds))
    lengths = tuple(sorted(set(tokens)))
    if not lengths:
        raise InputError("name at least one length", "--tokens")
    for length in lengths:
        if not 2 <= length <= MOST_TOKENS:
            raise InputError(f"a length must be from 2 to {MOST_TOKENS:,} tokens but is {length:,}", "--tokens")
    if window < 1:
        raise InputError(f"a window must be at least 1 token on each side but is {window}", "--window")
    if window > lengths[0]:
        raise InputError(f"the window of {window:,} is above the shortest length, {lengths[0]:,} tokens", "--window")
    if not what:
        raise InputError(f"name at least one of {', '.join(WHATS)}", "--what")
    for one in what:
        if one not in WHATS:
            raise InputError(f"no work {one!r}; there are {', '.join(WHATS)}", "--what")
    if not minutes > 0:
        raise InputError(f"must be above 0 but is {minutes:g}", "--minutes")
    return lengths, tuple(dict.fromkeys(kinds)), tuple(one for one in WHATS if one in what)


def _folder(model: str | Path, progress: Progress) -> Path:
    paths = resolve(str(model), progress=progress).paths
    if len(paths) != 1 or not paths[0].is_dir():
        raise InputError("a model is one folder with config.json", f"--model {model}")
    return paths[0]


def _shape_facts(config: dict[str, Any], shape: Any) -> dict[str, Any]:
    return {
        "type": config["model_type"],
        "layers": shape.layers,
        "hidden": shape.hidden,
        "heads": shape.heads,
        "intermediate": shape.intermediate,
    }

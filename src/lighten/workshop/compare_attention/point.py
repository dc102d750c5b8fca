"""``python -m lighten.workshop.compare_attention.point``: measures one kind at one length, or agreement, and ends.

A process of its own, because the peak memory of a process never falls, and what one model left behind (allocated
memory, warmed kernels) must not help or harm the next.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lighten.measure.memory import own_peak_mb
from lighten.measure.worker import Report, main

MODULE = "lighten.workshop.compare_attention.point"
WARM_TOKENS = 128
"""Of the call that comes before any other: kernels are chosen and loaded."""
CALLS = 5
CALL_SECONDS = 1.0
"""After so many calls, or so many seconds of them, no further one begins."""
SLOW = 1.5
"""Seconds from which the first call at the length itself counts; a shorter one is repeated, and forgotten."""


def attention(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Measure forward, then forward with backward.

    The request has ``kind``, ``config``, ``tokens``, ``window``, ``what`` (a list), ``threads``, ``seed``, ``calls``
    (at most) and ``seconds`` (for the calls of one kind of work). The answer has, by what was done, ``seconds`` (a
    list) and ``peak_mb``; and ``ready_mb``, the peak of the process before it.
    """
    import torch

    from lighten.workshop.compare_attention.kinds import build, inputs_for

    _die_first()
    torch.set_num_threads(request["threads"])
    kind, tokens, config, seed = request["kind"], request["tokens"], request["config"], request["seed"]
    model = build(kind, config, max(tokens, WARM_TOKENS), request["window"], seed)
    inputs = inputs_for(kind, config, tokens, seed)
    warm = inputs_for(kind, config, min(WARM_TOKENS, tokens), seed)
    work = {"forward": _forward, "training": _training}
    found: dict[str, Any] = {}
    # Forward first: its peak is the lower one.
    for index, what in enumerate(what for what in work if what in request["what"]):
        work[what](model, warm)
        ready = own_peak_mb()
        taken = _times(lambda what=what: work[what](model, inputs), request["calls"], request["seconds"])  # type: ignore[misc]
        found[what] = {"seconds": taken, "peak_mb": own_peak_mb(), "ready_mb": ready}
        report((index + 1) / len(request["what"]))
    return found


def agreement(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Compare kinds with full attention: see `lighten.workshop.compare_attention.agreement.agreement`."""
    from lighten.workshop.compare_attention.agreement import agreement as work

    _die_first()
    return work(request, report)


def _forward(model: Any, inputs: dict[str, Any]) -> None:
    import torch

    model.eval()
    with torch.inference_mode():
        model(**inputs)


def _training(model: Any, inputs: dict[str, Any]) -> None:
    model.train()
    model.zero_grad(set_to_none=True)
    # Of all tokens, so that every one of them has a gradient to send back.
    model(**inputs).last_hidden_state.square().mean().backward()


def _times(call: Callable[[], None], calls: int, seconds: float) -> list[float]:
    started = time.perf_counter()
    call()
    taken = [time.perf_counter() - started]
    if taken[0] >= SLOW or calls < 2:
        return taken
    taken.clear()
    spent = 0.0
    while len(taken) < calls and (not taken or spent < seconds):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
        spent += taken[-1]
    return taken


def _die_first() -> None:
    """Let the system, where it runs out of memory, end this process and no other."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    sys.exit(main({"attention": attention, "agreement": agreement}))

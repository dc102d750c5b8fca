"""Why a model is not faster or smaller than it is: where its time and its bytes go, by the cost model's parts."""

from __future__ import annotations

from typing import Any

from lighten.measure.cost import LARGE_BATCH
from lighten.models.layout import Shape
from lighten.search.cost.memory import weights_mb
from lighten.search.cost.model import Chunked, CostModel
from lighten.search.plan.points import Costed

WORTH_SAYING = 0.2
"""Share of the time or of the size from which a part is named."""
UNSHRUNK = ("call", "layers", "attention", "norms and activations", "embeddings")
"""Parts that int8 does not make shorter."""


def time_parts(model: CostModel, one: Costed, at: Chunked) -> dict[str, Any]:
    """Return the milliseconds and the shares of the median call by part.

    Args:
        model: fitted to this machine.
        one: an encoder.
        at: ``batch``, ``tokens``, ``threads`` and ``chunks``.
    """
    assert one.shape is not None
    parts = model.parts(one.shape, one.int8, **at)
    total = max(sum(parts.values()), 1e-12)
    return {name: {"ms": round(value, 4), "share": round(value / total, 4)} for name, value in parts.items()}


def reasons(model: CostModel, one: Costed, at: Chunked) -> list[str]:
    """Return in sentences what keeps a candidate from being faster or smaller, the strongest first.

    Args:
        model: fitted to this machine.
        one: an encoder.
        at: ``batch``, ``tokens``, ``threads`` and ``chunks``.
    """
    if one.shape is None:
        return []
    parts = {name: part["share"] for name, part in time_parts(model, one, at).items()}
    rows = at["batch"] * at["chunks"] * at["tokens"]
    texts = {
        "call": "are the fixed cost of a call, whatever the model",
        "layers": "are the fixed cost of its layers' operators: fewer layers help, narrower ones do not",
        "few rows": f"are weights fetched for {rows} rows of tokens only: memory bound; larger batches use them well",
        "attention": f"are attention, which grows with the square of the {at['tokens']} tokens",
        "norms and activations": "are norms and activations, which int8 does not make shorter",
        "embeddings": "are looking up embeddings",
    }
    large = sorted((name for name in texts if parts[name] >= WORTH_SAYING), key=lambda name: -parts[name])
    said = [f"{one.name}: {100 * parts[name]:.0f}% of its time {texts[name]}" for name in large]
    return said + _int8(model, one.shape, at) + _tables(model, one)


def _int8(model: CostModel, shape: Shape, at: Chunked) -> list[str]:
    """Return what int8 gains at the target and in large batches, and why it is not more."""
    here = _speedup(model, shape, at)
    large = _speedup(model, shape, {**at, "batch": LARGE_BATCH})
    text = f"int8 makes this shape {_times(here)} at batch {at['batch']}"
    if at["batch"] != LARGE_BATCH:
        text += f" and {_times(large)} at batch {LARGE_BATCH}"
    parts = model.parts(shape, False, **at)
    kept = sum(parts[name] for name in UNSHRUNK) / max(sum(parts.values()), 1e-12)
    if here < 2 and kept >= WORTH_SAYING:
        text += f": {100 * kept:.0f}% of the fp32 time are no products of matrices, and int8 speeds up nothing else"
    return [text]


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times as fast" if ratio >= 0.95 else f"slower ({ratio:.1f} times as fast)"


def _speedup(model: CostModel, shape: Shape, at: Chunked) -> float:
    slow, fast = (model.predict(shape, int8, **at)["latency_ms"]["p50"] for int8 in (False, True))
    return float(slow / max(fast, 1e-12))


def _tables(model: CostModel, one: Costed) -> list[str]:
    """Return that the table of embeddings is much of the size, and little of the time, where it is so."""
    assert one.shape is not None
    width = model.sizes.table_width
    without = one.shape.with_(vocabulary=0)
    table = weights_mb(one.shape, one.int8, width) - weights_mb(without, one.int8, width)
    share = table / max(one.metrics["size_mb"], 1e-12)
    if share < WORTH_SAYING:
        return []
    return [
        f"{100 * share:.0f}% of its size are the embeddings of {one.shape.vocabulary:,} pieces: a smaller vocabulary "
        "or hidden width makes it smaller, fewer layers do not"
    ]

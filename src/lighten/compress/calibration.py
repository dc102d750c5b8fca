"""The texts on which a quantisation is tuned and judged, and what is measured on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from lighten.compress.sensitivity import Batches, agreement, answers
from lighten.compress.step import Context
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, weight_files
from lighten.models.encoder import Encoder
from lighten.models.quantised.emulate import Emulation
from lighten.models.quantised.precision import Precision, product_names
from lighten.models.quantised.ranges import calibrate
from lighten.models.tokens import Ids
from lighten.pipeline.examples import Examples
from lighten.train.batches import pad, plan_batches

FEWEST = 8
"""Texts: ranges from fewer are those of the texts, not of the task."""
MOST = 16_384
"""Tokens of all texts, unless `FEWEST` texts have more: every product that may stay in fp32 is a pass over them."""
TOKENS = 4096
"""Per batch, padding included."""


def check_source(source: Path, where: str) -> None:
    """Refuse a checkpoint whose weights are quantised already, or that has none to quantise.

    Raises:
        InputError: it is a linear model, its config names a quantisation, or it stores weights in fewer than 16 bits.
    """
    if (source / "linear.safetensors").is_file():
        raise InputError("a linear model has no int8 form; leave this step out", where)
    noted = read_config(source).get("quantization_config")
    if noted is not None:
        method = noted.get("quant_method", "unknown") if isinstance(noted, dict) else noted
        raise InputError(
            f"the weights are quantised already ('quantization_config', method {method!r}); take the model before "
            "that was done",
            str(source / "config.json"),
        )
    for file in weight_files(source):
        name = _small_number(file)
        if name:
            raise InputError(
                f"the weights are quantised already: {name}; take the model before that was done", str(file)
            )


def _small_number(file: Path) -> str | None:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118 (safe_open is no mapping)
            part = tensors.get_slice(name)
            if part.get_dtype() in ("I8", "U8", "F8_E4M3", "F8_E5M2") and len(part.get_shape()) > 1:
                return f"{name} is stored as {part.get_dtype()}"
    return None


def sample(source: Path, context: Context, examples: Examples, count: int, where: str) -> Batches:
    """Return ids and masks of up to `count` texts, the first of a seeded shuffle, up to `MOST` tokens.

    Raises:
        InputError: there are fewer than `FEWEST` texts.
    """
    return _batches(source, _drawn(source, context, examples, count, where))


def halves(source: Path, context: Context, examples: Examples, count: int, where: str) -> tuple[Batches, Batches]:
    """Return the texts of `sample` in two parts: one to choose on, the other to judge the choice on.

    Raises:
        InputError: there are fewer than `FEWEST` texts.
    """
    encoded = _drawn(source, context, examples, count, where)
    return _batches(source, encoded[::2]), _batches(source, encoded[1::2])


def _drawn(source: Path, context: Context, examples: Examples, count: int, where: str) -> list[Ids]:
    if len(examples.texts) < FEWEST:
        raise InputError(
            f"calibration needs at least {FEWEST} texts to see the range of activations; there are "
            f"{len(examples.texts)}",
            where,
        )
    order = np.random.default_rng(context.seed).permutation(len(examples.texts))[:count]
    encoded = context.encode(source, [examples.texts[i] for i in order])
    total = np.cumsum([len(ids) for ids in encoded])
    return encoded[: max(FEWEST, int(np.searchsorted(total, MOST, side="right")))]


def _batches(source: Path, encoded: list[Ids]) -> Batches:
    pad_id = int(read_config(source).get("pad_token_id") or 0)
    lengths = np.array([len(ids) for ids in encoded], np.int64)
    batches = [pad(encoded, index, pad_id) for index in plan_batches(lengths, TOKENS, None)]
    return [(batch.ids, batch.mask) for batch in batches]


def find_ranges(
    encoder: Encoder, batches: Batches, method: str, percentile: float, context: Context
) -> dict[str, tuple[float, float]]:
    """Return the range of activations of every product, as the int8 graph of the encoder would see them in fp32."""
    emulation = Emulation(encoder, Precision(int8=True, floats=tuple(product_names(encoder))))
    passes = 1 if method == "min-max" else 2
    with context.progress.stage("calibration", total=len(batches) * passes) as stage:
        done = 0

        def seen() -> Any:
            nonlocal done
            for batch in batches:
                yield batch
                done += 1
                stage.update(done)
                context.tick()

        return calibrate(emulation, seen, method, percentile)


def judged(
    encoder: Encoder, wanted: torch.Tensor, precision: Precision, batches: Batches, context: Context
) -> dict[str, Any]:
    """Return how far a quantised model agrees with fp32, over all and by class (shares of texts), for the metrics."""
    found = answers(Emulation(encoder, precision), batches, context.tick)
    share, classes = agreement(wanted, found, several_labels(context))
    by_class = {
        label: None if value is None else round(value, 4)
        for label, value in zip(context.labels, classes, strict=False)
    }
    return {"judged_texts": len(wanted), "agreement": round(share, 4), "agreement_by_class": by_class}


def several_labels(context: Context) -> bool:
    """Whether texts may have several labels."""
    return "labels" in context.validation.more

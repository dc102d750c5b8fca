"""Predicts the memory of a training from its model: weights, gradients, optimiser, activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from lighten.models.freeze import freeze
from lighten.models.lora import add_lora
from lighten.train.layer_memory import FULL, Shape, cast_bytes, forward_bytes, layer_bytes, shape_of


@dataclass(frozen=True)
class Method:
    """What of a training decides about its memory, besides the model and the batches.

    Attributes:
        half: matrix products in bf16 or fp16.
        frozen_layers: at the bottom, the embeddings with them.
        cached: the frozen layers' output comes from disk; they are not in the training.
        checkpointing: activations are computed twice.
        lora: rank of the small matrices beside attention's, where they are not in the model yet.
        trained_rows: embedding rows that occur, where only those are trained (models.embeddings.narrowed).
        predicted: share of the tokens whose vocabulary scores are computed (language models).
        processes: that train together.
        parallel: ``none``, ``ddp``, ``fsdp``, ``pipeline`` or ``tensor``.
        cpu_offload: sharded weights, gradients and slots stay in the machine's memory (fsdp on a GPU).
        device: type of the device whose memory is meant.
    """

    half: bool = False
    frozen_layers: int = 0
    cached: bool = False
    checkpointing: bool = False
    lora: int | None = None
    trained_rows: int | None = None
    predicted: float = 0.0
    processes: int = 1
    parallel: str = "none"
    cpu_offload: bool = False
    device: str = "cpu"


@dataclass(frozen=True)
class Memory:
    """Bytes in one process; `peak` is what they take at once."""

    parameters: float
    best: float
    gradients: float
    optimizer: float
    activations: float
    peak: float
    trained: int


def predict_memory(model: Any, largest: tuple[int, int], method: Method, accumulating: bool = False) -> Memory:
    """Return the bytes that a training takes in one process, libraries and data not counted.

    Args:
        model: a model, whose ``requires_grad`` counts, or one without memory (`skeleton`).
        largest: rows and tokens of the largest micro-batch.
        method: how it is trained.
        accumulating: gradients of earlier micro-batches are there while activations are at their most.
    """
    shape, share = shape_of(model.config), method.processes
    weights, linear, trained = _count(model, shape, method)
    rows, tokens = largest
    layer = layer_bytes(shape, rows, tokens, method.half, method.device)
    frozen, checkpointing = method.frozen_layers, method.checkpointing
    activations = forward_bytes(
        shape, rows, tokens, method.half, frozen, checkpointing, method.predicted, method.device
    )
    sharded = share if method.parallel in ("fsdp", "pipeline", "tensor") else 1
    held, learned = FULL * weights / sharded, FULL * trained / sharded
    if method.parallel == "pipeline":
        activations, linear = activations / share, linear // share
    elif method.parallel == "tensor":  # the residual stream is whole on every process, the inside of a layer is not
        activations, linear = activations * (1 + 1 / share) / 2, linear // share
    casts = cast_bytes(linear, method.half)
    # FSDP gathers a layer's weights before it runs and the next one's meanwhile, and reduces a layer's gradients.
    gathered = 3 * FULL * weights / max(1.0, shape.layers) if method.parallel == "fsdp" else 0.0
    # Between CPUs each process reads its rows of the others' gradients, and has slots for them only; else DDP has
    # buckets beside its gradients.
    shared = method.parallel == "ddp" and method.device == "cpu"
    buckets = learned * ((share - 1) / share if shared else 1.0) if method.parallel == "ddp" else 0.0
    slots = 2 * learned / (share if shared else 1)
    away = method.cpu_offload and method.parallel == "fsdp" and method.device != "cpu"
    # Weights, the copy of the best ones, and two slots of the optimiser.
    standing = 0.0 if away else held * 2 + slots + buckets
    passing = 0.0 if away else learned
    # A backward pass frees a layer's activations as it makes its gradients, so both are whole at a time only where it
    # accumulates; but on a CPU the allocator seldom finds room for the ones in the holes that the others left.
    both = accumulating or method.device == "cpu"
    moving = activations + passing if both else max(activations, passing + layer)
    return Memory(
        parameters=held + casts + gathered,
        best=held,
        gradients=learned + buckets,
        optimizer=slots,
        activations=activations,
        peak=standing + casts + gathered + moving,
        trained=trained,
    )


def skeleton(config: Any, auto_class: str = "AutoModelForSequenceClassification") -> Any:
    """Return a model of a transformers configuration that takes no memory (on the meta device)."""
    import transformers

    with torch.device("meta"):
        return getattr(transformers, auto_class).from_config(config)


def _count(model: Any, shape: Shape, method: Method) -> tuple[int, int, int]:
    """Return all parameters, those of matrix products, and those that are trained."""
    parameters = list(model.parameters())
    weights = sum(p.numel() for p in parameters)
    try:
        table = model.get_input_embeddings().weight
    except AttributeError:  # a model that is its top alone
        table = None
    linear = sum(p.numel() for p in parameters if p.dim() == 2 and p is not table)
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    if (method.lora or method.frozen_layers) and trained == weights:
        # What they would make of the model is tried on one without memory.
        with torch.device("meta"):
            twin = type(model)(model.config)
        if method.lora:
            add_lora(twin, method.lora, 1.0)
            weights = sum(p.numel() for p in twin.parameters())
        else:
            freeze(twin, method.frozen_layers)
        trained = sum(p.numel() for p in twin.parameters() if p.requires_grad)
    elif method.trained_rows is not None and table.requires_grad and method.trained_rows < len(table):
        trained -= (len(table) - method.trained_rows) * table.shape[1]
        weights += method.trained_rows * table.shape[1]  # the whole table waits beside
    if method.cached:
        weights = trained
    return weights, linear, trained

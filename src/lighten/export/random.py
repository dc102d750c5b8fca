"""A model folder of a shape with random weights: it costs what a trained one costs, and takes no training."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lighten.export.bundle import Serving, write_bundle
from lighten.export.graph import encoder_graph
from lighten.export.ngrams import add_ngrams
from lighten.models.checkpoint import copy_tokenizer
from lighten.models.encoder import random_encoder
from lighten.models.layout import Shape
from lighten.models.ngrams import EMPTY, WidePart
from lighten.models.quantised.precision import unmeasured
from lighten.models.resized import config_for
from lighten.pipeline.files import write_json


def write_random(
    target: Path,
    config: Mapping[str, Any],
    shape: Shape,
    form: str,
    tokenizer: Path,
    serving: Serving,
    seed: int = 0,
    buckets: int = 0,
) -> None:
    """Write the folder.

    Args:
        target: existing, empty folder.
        config: of the model, as transformers has it.
        shape: of the model to write.
        form: ``fp32`` or a format of `models.quantised.precision`.
        tokenizer: folder of the tokenizer files the finished model will have.
        serving: how it will be served.
        seed: of the weights.
        buckets: of an n-gram part beside the encoder; 0 for none.
    """
    config = config_for(config, shape)
    encoder = random_encoder(config, shape, seed)
    graph = encoder_graph(encoder, unmeasured(form, encoder))
    if buckets:
        add_ngrams(graph, _nothing(shape, buckets))
    with tempfile.TemporaryDirectory() as name:
        checkpoint = Path(name)
        write_json(checkpoint / "config.json", config)
        copy_tokenizer(tokenizer, checkpoint)
        write_bundle(target, graph, checkpoint, serving, weights=False)


def _nothing(shape: Shape, buckets: int) -> WidePart:
    """Return an n-gram part that adds nothing: the work is the same."""
    table = np.zeros((shape.vocabulary + buckets, shape.classes + 1), np.float16)
    return WidePart(table, np.full(buckets, EMPTY, np.int64), np.zeros(shape.classes, np.float32))

"""A model folder of a shape with random weights: it costs what a trained one costs, and takes no training."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.export.bundle import Serving, write_bundle
from lighten.export.graph import Precision, encoder_graph
from lighten.models.checkpoint import copy_tokenizer
from lighten.models.encoder import random_encoder
from lighten.models.layout import Shape
from lighten.models.resized import config_for
from lighten.pipeline.files import write_json


def write_random(
    target: Path,
    config: Mapping[str, Any],
    shape: Shape,
    precision: Precision,
    tokenizer: Path,
    serving: Serving,
    seed: int = 0,
) -> None:
    """Write the folder; `tokenizer` holds the tokenizer files the finished model will have."""
    config = config_for(config, shape)
    graph = encoder_graph(random_encoder(config, shape, seed), precision)
    with tempfile.TemporaryDirectory() as name:
        checkpoint = Path(name)
        write_json(checkpoint / "config.json", config)
        copy_tokenizer(tokenizer, checkpoint)
        write_bundle(target, graph, checkpoint, serving, weights=False)

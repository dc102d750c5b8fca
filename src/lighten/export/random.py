"""A model folder of a shape with random weights: it costs what a trained one costs, and takes no training."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.export.bundle import Serving, write_bundle
from lighten.export.graph import encoder_graph
from lighten.models.checkpoint import copy_tokenizer
from lighten.models.encoder import random_encoder
from lighten.models.layout import Shape
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
    """
    config = config_for(config, shape)
    encoder = random_encoder(config, shape, seed)
    graph = encoder_graph(encoder, unmeasured(form, encoder))
    with tempfile.TemporaryDirectory() as name:
        checkpoint = Path(name)
        write_json(checkpoint / "config.json", config)
        copy_tokenizer(tokenizer, checkpoint)
        write_bundle(target, graph, checkpoint, serving, weights=False)

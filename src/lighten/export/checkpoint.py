"""From a checkpoint folder to a graph: what kind of classifier lies there, and in which precision it is wanted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
from safetensors.numpy import load_file

from lighten.export.graph import Precision, encoder_graph
from lighten.export.linear import read_linear
from lighten.models.checkpoint import read_config, read_state
from lighten.models.encoder import Dense, encoder_from_state
from lighten.pipeline.files import read_json


def graph_of(checkpoint: Path) -> onnx.ModelProto:
    """Draw the classifier in a checkpoint folder.

    ``linear.safetensors`` makes it TF-IDF + linear; ``frozen.safetensors`` an encoder with mean pooling and
    that head; else it is a sequence classifier of transformers. ``quantise.json`` asks for int8.
    """
    if (checkpoint / "linear.safetensors").is_file():
        return read_linear(checkpoint / "linear.safetensors")
    config, state = read_config(checkpoint), read_state(checkpoint, leave=("frozen.safetensors",))
    encoder = encoder_from_state(config, state)
    if (checkpoint / "frozen.safetensors").is_file():
        head = load_file(checkpoint / "frozen.safetensors")
        encoder = replace(encoder, head=(Dense(head["weight"], head["bias"]),), pooling="mean")
    return encoder_graph(encoder, precision_of(checkpoint))


def precision_of(checkpoint: Path) -> Precision:
    """Return the precision that the step ``quantise`` noted, fp32 where it did not run."""
    file = checkpoint / "quantise.json"
    return Precision(int8=True, bits=int(read_json(file)["bits"])) if file.is_file() else Precision()

"""Reads the encoder of a checkpoint folder, whichever head it has."""

from __future__ import annotations

from pathlib import Path

from safetensors.numpy import load_file

from lighten.models.checkpoint import read_config, read_state
from lighten.models.encoder import Dense, Encoder, encoder_from_state

FROZEN = "frozen.safetensors"
"""The head of a frozen encoder: ``weight`` [hidden, classes] and ``bias`` [classes] on the mean of the states."""


def read_encoder(folder: Path) -> Encoder:
    """Return the classifier in a folder as plain arrays.

    ``frozen.safetensors`` makes it an encoder with mean pooling and that head; else it is a sequence classifier of
    transformers.
    """
    encoder = encoder_from_state(read_config(folder), read_state(folder, leave=(FROZEN,)))
    if not (folder / FROZEN).is_file():
        return encoder
    head = load_file(folder / FROZEN)
    return encoder.with_head(Dense(head["weight"], head["bias"]), pooling="mean")

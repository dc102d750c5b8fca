"""Whether a checkpoint was fine-tuned for the labels at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open

from lighten.compress.copy import FROZEN, QUANTISE
from lighten.errors import InputError
from lighten.models.checkpoint import weight_files
from lighten.models.layout import names_of


def labels_of_model(folder: Path, config: Mapping[str, Any]) -> list[str] | None:
    """Return the labels of the model's head, in its order; None where it has no head with named labels."""
    named = config.get("id2label")
    if not isinstance(named, Mapping) or not named:
        return None
    try:
        labels = [str(named[key]) for key in sorted(named, key=int)]
    except ValueError:
        return None
    if all(label == f"LABEL_{index}" for index, label in enumerate(labels)):
        return None  # what transformers writes where nobody named them
    return labels if _classes(folder, config) == len(labels) else None


def why_not_fitted(folder: Path, config: Mapping[str, Any], labels: Sequence[str]) -> str | None:
    """Return why the model must be fine-tuned before it is compressed; None where its head knows the labels."""
    known = labels_of_model(folder, config)
    if known is None:
        return "it has no classification head with named labels"
    if known != list(labels):
        return f"its head is for the labels {_some(known)}, the data has {_some(labels)}"
    return None


def check_not_quantised(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse a model whose weights are no plain numbers any more.

    Raises:
        InputError: the model was quantised already.
    """
    if (folder / QUANTISE).is_file():
        raise InputError("the model is quantised already; start from the checkpoint before it", str(folder / QUANTISE))
    if config.get("quantization_config"):
        raise InputError(
            "the model is quantised already (quantization_config); start from its plain weights",
            str(folder / "config.json"),
        )


def _classes(folder: Path, config: Mapping[str, Any]) -> int | None:
    """Return the number of classes of the head among the weights; None where there is none."""
    frozen, name = folder / FROZEN, names_of(config).head[-1][0] + ".bias"
    files = [(frozen, "bias")] if frozen.is_file() else [(file, name) for file in weight_files(folder)]
    for file, key in files:
        with safe_open(file, framework="np") as tensors:
            if key in tensors.keys():  # noqa: SIM118 (safe_open is no mapping)
                return int(tensors.get_slice(key).get_shape()[0])
    return None


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:6]) + (", ..." if len(labels) > 6 else "")

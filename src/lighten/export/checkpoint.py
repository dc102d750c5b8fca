"""From a checkpoint folder to a graph: what kind of classifier lies there, and in which precision it is wanted."""

from __future__ import annotations

from pathlib import Path

import onnx

from lighten.errors import InputError, nearest
from lighten.export.graph import encoder_graph
from lighten.export.linear import read_linear
from lighten.export.ngrams import add_ngrams
from lighten.export.static import static_graph
from lighten.models.ngrams import read_ngrams
from lighten.models.quantised.precision import Precision, product_names, read_precision
from lighten.models.read import read_encoder
from lighten.models.static import FILE as STATIC
from lighten.models.static import read_static


def graph_of(checkpoint: Path) -> onnx.ModelProto:
    """Draw the classifier in a checkpoint folder.

    ``linear.safetensors`` makes it TF-IDF + linear; ``static.safetensors`` a mean of token vectors with a small
    network; ``frozen.safetensors`` an encoder with mean pooling and that head; else it is a sequence classifier of
    transformers. ``ngrams.safetensors`` adds an n-gram part to an encoder, ``quantise.json`` asks for a precision.
    """
    if (checkpoint / "linear.safetensors").is_file():
        return read_linear(checkpoint / "linear.safetensors")
    if (checkpoint / STATIC).is_file():
        return static_graph(read_static(checkpoint), int8=read_precision(checkpoint).quantised)
    precision, encoder = read_precision(checkpoint), read_encoder(checkpoint)
    check_names(precision, product_names(encoder), checkpoint / "quantise.json")
    model, wide = encoder_graph(encoder, precision), read_ngrams(checkpoint)
    return model if wide is None else add_ngrams(model, wide)


def precision_of(checkpoint: Path) -> Precision:
    """Return the precision that the step ``quantise`` noted, fp32 where it did not run."""
    return read_precision(checkpoint)


def check_names(precision: Precision, known: list[str], file: Path) -> None:
    """Refuse a note about products that the model does not have, or without a range that it needs.

    Raises:
        InputError: naming the first of them.
    """
    named = {*precision.floats, *precision.ranges}
    astray = sorted(named - set(known))
    if astray:
        raise InputError(f"the model has no product {astray[0]!r}{nearest(astray[0], known)}", str(file))
    missing = [name for name in known if name not in precision.ranges and name not in precision.floats]
    if precision.ranges and missing:
        raise InputError(f"no range of activations for the product {missing[0]!r}", str(file))

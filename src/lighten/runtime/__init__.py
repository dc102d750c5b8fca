"""Loads a model folder and predicts: numpy, ONNX Runtime and tokenizers; never torch, nothing of ours but the errors.

``from lighten.runtime import load; load("runs/reviews/model").predict(["a triumph"])``
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lighten.runtime.cascade import Cascade, CascadePrediction
    from lighten.runtime.classifier import Classifier, Prediction, load
    from lighten.runtime.extract import Extractor
    from lighten.runtime.folder import ModelFolder, read_folder
    from lighten.runtime.generate import Generated, Generator, load_generator
    from lighten.runtime.summarize import Summarizer, load_summarizer
    from lighten.runtime.text_classifier import TextClassifier

__all__ = [
    "Cascade",
    "CascadePrediction",
    "Classifier",
    "Extractor",
    "Generated",
    "Generator",
    "ModelFolder",
    "Prediction",
    "Summarizer",
    "TextClassifier",
    "load",
    "load_generator",
    "load_summarizer",
    "read_folder",
]


def __getattr__(name: str) -> Any:
    """Import on first use: reading a folder's description needs neither numpy nor ONNX Runtime."""
    if name in ("Classifier", "Prediction", "load"):
        from lighten.runtime import classifier

        return getattr(classifier, name)
    if name in ("Cascade", "CascadePrediction"):
        from lighten.runtime import cascade

        return getattr(cascade, name)
    if name == "TextClassifier":
        from lighten.runtime.text_classifier import TextClassifier

        return TextClassifier
    if name in ("Generated", "Generator", "load_generator"):
        from lighten.runtime import generate

        return getattr(generate, name)
    if name in ("Summarizer", "load_summarizer"):
        from lighten.runtime import summarize

        return getattr(summarize, name)
    if name == "Extractor":
        from lighten.runtime.extract import Extractor

        return Extractor
    if name in ("ModelFolder", "read_folder"):
        from lighten.runtime import folder

        return getattr(folder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

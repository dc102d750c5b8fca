"""Lighten: data, a language model and a budget in; the best model that fits, the proof and a deployable folder out.

>>> import lighten
>>> result = lighten.build("examples/reviews.yaml")  # doctest: +SKIP
>>> model = lighten.load(result.model_folder)  # doctest: +SKIP
>>> model.predict(["a triumph"])[0].label  # doctest: +SKIP

Importing the package costs nothing: each public name is imported when it is first used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# ONNX Runtime reports usage on Linux unless this is set before it is first imported, by whichever room.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from lighten.api import Compression, Prepared, Result, TrainResult, build, explain, extend, plan, prepare
    from lighten.errors import InputError, LightenError
    from lighten.recipe import Budget, Recipe
    from lighten.runtime import Classifier, Prediction, load

__version__ = "0.1.0"

_HOMES = {
    "build": "lighten.api",
    "explain": "lighten.api",
    "extend": "lighten.api",
    "Compression": "lighten.api",
    "Prepared": "lighten.api",
    "Result": "lighten.api",
    "TrainResult": "lighten.api",
    "plan": "lighten.api",
    "prepare": "lighten.api",
    "load": "lighten.runtime",
    "Classifier": "lighten.runtime",
    "Prediction": "lighten.runtime",
    "Recipe": "lighten.recipe",
    "Budget": "lighten.recipe",
    "InputError": "lighten.errors",
    "LightenError": "lighten.errors",
}

__all__ = [
    "Budget",
    "Classifier",
    "Compression",
    "InputError",
    "LightenError",
    "Prediction",
    "Prepared",
    "Recipe",
    "Result",
    "TrainResult",
    "__version__",
    "build",
    "compress",
    "explain",
    "extend",
    "load",
    "plan",
    "prepare",
    "train",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in ("compress", "train"):  # packages that are callable
        return import_module(f"lighten.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lighten' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Steps on models: each reads a checkpoint folder and writes one. Import `lighten.compress.steps` to register them.

``lighten.compress`` is also a function: ``lighten.compress("my-model", "layers=3,int8", "reviews.csv")`` is
`lighten.api.compress`. A package is imported as an attribute of its parent, so the two share the name, and the package
answers when it is called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """Carry out steps on a model; see `lighten.api.compress`."""
        # By name: the api is floors above this room, which only hands the call on.
        from importlib import import_module

        return import_module("lighten.api").compress(*args, **options)


sys.modules[__name__].__class__ = _Callable

"""Trains a model under a clock. Needs the extra ``build``; import the modules, not this package.

``lighten.train`` is also a function: ``lighten.train("recipe.yaml")`` is `lighten.api.train`. A package is imported as
an attribute of its parent, so the two share the name, and the package answers when it is called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """Train what a recipe describes; see `lighten.api.train`."""
        # By name: the api is floors above this room, which only hands the call on.
        from importlib import import_module

        return import_module("lighten.api").train(*args, **options)


sys.modules[__name__].__class__ = _Callable

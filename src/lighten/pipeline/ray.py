"""Ray, where it is installed: what several rooms start their tasks on."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

from lighten.errors import MissingExtraError


def ray_started() -> Any:
    """Return the module ``ray``, connected to a cluster or to one on this machine.

    A cluster that is started here reports no usage to Ray's makers and opens no dashboard.

    Raises:
        MissingExtraError: it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("ray", "cluster")
    ray = importlib.import_module("ray")
    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(log_to_driver=False, include_dashboard=False)
    return ray

"""Ray is an extra: without it the error says what to install; with it, it is started once."""

from __future__ import annotations

import os
import sys
from types import ModuleType

import pytest

from lighten.errors import MissingExtraError
from lighten.pipeline import ray as rays


def test_without_it_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rays.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"lighten\[cluster\]"):
        rays.ray_started()


def test_it_is_started_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "to be taken back")
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED")
    started: list[dict[str, object]] = []
    module = ModuleType("ray")
    module.is_initialized = lambda: bool(started)  # type: ignore[attr-defined]
    module.init = lambda **options: started.append(options)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", module)
    monkeypatch.setattr(rays.importlib.util, "find_spec", lambda name: object())
    assert rays.ray_started() is rays.ray_started() is module
    assert started == [{"log_to_driver": False, "include_dashboard": False}]
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"

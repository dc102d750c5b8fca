"""Tiny cascades: two toy classifiers with random embeddings in one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lighten.export.cascade import Rule, write_cascade

WORDS = ["a", "great", "warm", "triumph", "film", "not", "dull", "bad", "boring", "mess", "and", "it", "is", "funny"]


def texts(count: int = 60, seed: int = 0) -> list[str]:
    """Texts of one to eight words."""
    import numpy as np

    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, 9))) for _ in range(count)]


def make_cascade(
    path: Path,
    make_model_folder: Callable[..., Path],
    threshold: float = 1.0,
    passed_on: float = 0.5,
    examples: int = 200,
    first: dict[str, Any] | None = None,
    second: dict[str, Any] | None = None,
    samples: list[str] | None = None,
) -> Path:
    """Write a cascade of two toy models at `path`; its parts stay beside it, as ``NAME-first`` and ``NAME-second``."""
    one = make_model_folder(path.with_name(f"{path.name}-first"), **{"seed": 0, **(first or {})})
    other = make_model_folder(path.with_name(f"{path.name}-second"), **{"seed": 1, **(second or {})})
    path.mkdir()
    rule = Rule(threshold, passed_on, examples)
    write_cascade(path, one, other, rule, plan=[{"name": "cascade"}], samples=texts() if samples is None else samples)
    return path

"""Fixtures of this room: see `tests.helpers.checkpoints`; and what model steps are given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.helpers.checkpoints import bert, checkpoints, one_thread, sentences

from lighten.compress.step import Context
from lighten.compress.teacher import cache_teacher
from lighten.pipeline.examples import Examples

__all__ = ["bert", "checkpoints", "one_thread"]


def examples(count: int, seed: int, classes: int = 2, longest: int = 12) -> Examples:
    texts, labels = sentences(count, seed, longest)
    if classes == 3:  # a third class without any word that tells
        texts, labels = [*texts, *["the film was a film of it"] * (count // 4)], [*labels, *[2] * (count // 4)]
    return Examples(texts, labels, list(range(2, len(texts) + 2)))


@pytest.fixture(scope="session")
def make_context() -> Callable[..., Context]:
    """The function that makes a context: ``make_context(train=64, validation=32, classes=2, seed=0, ...)``."""

    def make(
        train: int = 64, validation: int = 32, classes: int = 2, seed: int = 0, longest: int = 12, **others
    ) -> Context:
        labels = ["bad", "good", "neutral"][:classes]
        parts = [examples(count, part, classes, longest) for part, count in ((1, train), (2, validation))]
        return Context(labels, *parts, 40, seed, **others)

    return make


@pytest.fixture(scope="session")
def teacher(bert: Path, make_context: Callable[..., Context], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT's answers to the training texts of a default context."""
    folder = tmp_path_factory.mktemp("teacher")
    cache_teacher(bert, folder, make_context())
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An empty folder for a step's result."""
    (tmp_path / "target").mkdir()
    return tmp_path / "target"

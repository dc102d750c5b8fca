"""A tiny task on disk: a BERT without a head, one with a head for the labels, and a CSV."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.helpers.checkpoints import (
    bert,
    checkpoints,
    make_config,
    make_model,
    one_thread,
    sentences,
    write_tokenizer,
)

import lighten
from lighten.compose import classification

__all__ = ["bert", "checkpoints", "one_thread"]

TARGET = ("target.tokens=16", "target.threads=1")


def write_reviews(file: Path, rows: int = 240) -> Path:
    """Write ``review,verdict``: good where a good word is in the text."""
    texts, labels = sentences(rows, seed=3)
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["review", "verdict"])
        for index, (text, label) in enumerate(zip(texts, labels, strict=True)):
            writer.writerow([f"{text} {index}", ("bad", "good")[label]])
    return file


def write_fitted(folder: Path, labels: tuple[str, ...] = ("bad", "good"), layers: int = 2, kind: str = "bert") -> Path:
    """Write an encoder with a head for the labels, as after fine-tuning."""
    folder.mkdir(parents=True)
    config = make_config(kind, write_tokenizer(folder), layers=layers, classes=len(labels))
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    make_model(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("reviews") / "reviews.csv")


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never write into it."""
    return write_fitted(tmp_path_factory.mktemp("fitted") / "fitted")


@pytest.fixture(scope="session", autouse=True)
def quick() -> Iterator[None]:
    """Timings of tiny models need no seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classification, "SECONDS_PER_MODEL", 0.02)
        patch.setattr(classification, "PROOF_SECONDS", 0.1)
        yield


@pytest.fixture
def compress(fitted: Path, reviews: Path) -> Callable[..., lighten.Compression]:
    """Compress the fitted model with the reviews: ``compress("int8", out)``; other options replace these."""

    def call(steps: object, out: Path, model: object = None, **options: object) -> lighten.Compression:
        columns = {"text": "review", "label": "verdict", "set": TARGET, **options}
        return lighten.compress(model or fitted, steps, reviews, out=out, **columns)

    return call


@pytest.fixture(scope="session")
def run(fitted: Path, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished compression: never write into it."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    lighten.compress(fitted, "layers=1,vocabulary,int8", reviews, text="review", label="verdict", out=out, set=TARGET)
    return out

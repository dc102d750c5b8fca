"""A tiny task that a tiny encoder can learn: data, model and recipe on disk."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lighten.progress import Progress

if TYPE_CHECKING:
    from lighten.search.run import Run

GOOD = ["great", "good", "triumph", "warm", "funny", "fresh"]
BAD = ["bad", "dull", "mess", "boring", "rotten"]
RUNGS = ["linear", "student"]
FILLER = ["a", "an", "the", "film", "movie", "was", "is", "and", "of", "it"]


def write_task(folder: Path, rows: int = 400, seed: int = 0) -> Path:
    """Write ``rows.jsonl``: the class is that of the words, turned around by a "not" before them."""
    random = np.random.default_rng(seed)
    lines = []
    for number in range(rows):
        label = bool(random.integers(2))
        negated = bool(random.integers(2))
        words = random.choice(GOOD if label != negated else BAD, 2).tolist()
        core = (["not", *words]) if negated else words
        before, after = random.choice(FILLER, random.integers(1, 5)), random.choice(FILLER, random.integers(0, 6))
        text = " ".join([*before, *core, *after, str(number)])
        lines.append(json.dumps({"text": text, "label": "fresh" if label else "rotten", "film": f"f{number % 80}"}))
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "rows.jsonl"


def write_model(folder: Path, layers: int = 2) -> Path:
    """Write a random BERT with 32 wide layers and the tests' WordPiece tokenizer, as a plain transformers folder."""
    import torch
    from tests.conftest import make_tokenizer
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True)
    pieces = make_tokenizer(folder / "tokenizer.json")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=pieces,
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
        pad_token_id=0,
    )
    BertModel(config).save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return folder


@pytest.fixture(autouse=True, scope="session")
def ctrl_c() -> Iterator[None]:
    """Hear SIGINT as a terminal's foreground process does: in a background job it is ignored, by children too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``rows.jsonl`` and ``model/``."""
    folder = tmp_path_factory.mktemp("world")
    write_task(folder)
    write_model(folder / "model")
    return folder


@pytest.fixture
def opened(recipe: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., Run]:
    """Return a function that opens a build of the tiny task and trains nothing; sections as for `recipe`."""
    from lighten.recipe import parse_recipe
    from lighten.search.opening import identify, open_run

    def make(**sections: Any) -> Run:
        known = parse_recipe(recipe(**sections))
        return open_run(known, tmp_path / "run", None, Progress(), identify(known, None, Progress()))

    return make


@pytest.fixture(scope="session")
def recipe(world: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that makes a recipe for the tiny task; keyword arguments replace whole sections.

    Hidden states keep their width, which saves half of the shapes, unless `search` says something of it.
    """

    def make(**sections: Any) -> dict[str, Any]:
        made = {
            "task": "text-classification",
            "name": "tiny",
            "data": {"train": str(world / "rows.jsonl"), "text": "text", "label": "label", "group": "film"},
            "model": str(world / "model"),
            "target": {"threads": 1, "batch": 1, "tokens": 16},
            "budget": {"latency_ms": 50, "size_mb": 5, "quality": -50, "build_minutes": 1},
            "search": {
                "candidates": 1,
                "epochs": 2,
                "reference_epochs": 3,
                "rungs": ["linear", "student"],
                "layers": [1],
            },
            **sections,
        }
        made["search"] = {"hidden": [32], **made["search"]}
        return made

    return make

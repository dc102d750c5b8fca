"""What a cost model is fitted for, and how a shape is exported for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lighten.export.bundle import Serving
from lighten.export.random import write_random
from lighten.models.layout import Shape


@dataclass(frozen=True)
class Setting:
    """What a cost model is fitted for.

    Attributes:
        config: of the model, as transformers has it.
        full: the reference's shape.
        tokenizer: folder of its tokenizer.
        labels: of the task; they count for nothing but a few bytes.
        batch: sequences per call that the model gets: texts, or the chunks of all of them.
        tokens: per sequence.
        threads: counts of threads, that of the target first.
        memory: whether memory is measured too.
        seed: of weights, token ids and orders.
    """

    config: Mapping[str, Any]
    full: Shape
    tokenizer: Path
    labels: tuple[str, ...]
    batch: int
    tokens: int
    threads: tuple[int, ...]
    memory: bool = True
    seed: int = 0

    @property
    def longest(self) -> int:
        """Tokens that a model reads at most."""
        return self.full.positions

    @property
    def target(self) -> dict[str, int]:
        """The target as `measure` takes it."""
        return {"threads": self.threads[0], "batch": self.batch, "tokens": self.tokens}


def write_shape(setting: Setting, target: Path, shape: Shape, int8: bool, tokenizer: Path) -> Path:
    """Export one shape with random weights into a new folder; returns it."""
    target.mkdir()
    serving = Serving(setting.labels, setting.longest, setting.threads[0])
    write_random(target, setting.config, shape, "int8" if int8 else "fp32", tokenizer, serving, setting.seed)
    return target


def write_plain_tokenizer(folder: Path, pieces: int) -> Path:
    """Write a WordPiece tokenizer with so many pieces, the same for everyone; returns its folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir()
    names = ["[UNK]", *(f"w{number}" for number in range(1, pieces))]
    tokenizer = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder

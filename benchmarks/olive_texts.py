"""Labelled texts for Olive: its own process imports this file, in its own environment, as a `user_script`.

Olive's containers for text want the package `datasets` and a table; here the JSON lines of a build are enough.

Olive 0.13.0 also needs a repair before its search can be compared with anything: every candidate begins with passes
that an earlier one went through, and noting those again fails on a field that goes by another name since Olive moved
to pydantic 2. All candidates but the first are lost then, and often there is no model at all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from olive.data.registry import Registry
from olive.engine.footprint import FootprintNode
from torch.utils.data import Dataset
from transformers import AutoTokenizer


class Texts(Dataset):
    """Token ids and labels, one text at a time.

    Args:
        file: JSON lines of ``text`` and ``label``, a number.
        model: folder with the tokenizer.
        max_tokens: longer texts are truncated.
        length: every text is padded or truncated to so many tokens, where given.
        limit: so many texts from the start, all when left out.
    """

    def __init__(
        self, file: str, model: str, max_tokens: int, length: int | None = None, limit: int | None = None
    ) -> None:
        lines = [line for line in Path(file).read_text(encoding="utf-8").split("\n") if line.strip()]
        rows = [json.loads(line) for line in lines[:limit]]
        tokenizer = AutoTokenizer.from_pretrained(model)
        how = {"padding": "max_length", "max_length": length} if length else {"max_length": max_tokens}
        self.tokens = dict(tokenizer([row["text"] for row in rows], truncation=True, **how))
        self.labels = [int(row["label"]) for row in rows]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        if index >= len(self.labels):
            raise IndexError(index)
        inputs = {name: torch.tensor(values[index]) for name, values in self.tokens.items()}
        return inputs, torch.tensor(self.labels[index])


def update(node: FootprintNode, **fields: Any) -> None:
    """Note a pass again, whichever name is used for what it made."""
    for name, value in fields.items():
        setattr(node, "model_config_data" if name == "model_config" else name, value)


FootprintNode.update = update


@Registry.register_dataset()
def lighten_texts(file: str, model: str, max_tokens: int, **more: Any) -> Texts:
    """Return the texts; Olive adds keys of its own, which are left out."""
    return Texts(file, model, max_tokens, more.get("length"), more.get("limit"))

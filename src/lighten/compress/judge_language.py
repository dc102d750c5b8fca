"""How well a language model does before it is trained: its loss on a sample of the training texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lighten.compress.judge import some_texts
from lighten.compress.step import Context
from lighten.errors import InputError
from lighten.models.auto import special_tokens
from lighten.train import precision as precisions
from lighten.train.datasets.packed import PackedBlocks, join
from lighten.train.evaluate import losses_of
from lighten.train.objectives import CausalLanguageModel

TOKENS, BLOCK = 2048, 256
"""Tokens to run at most for each score, and per row. Searching 20 of 30 layers takes 255 scores."""


class LanguageJudge:
    """Scores language models on a sample of the training texts, without training; less is better.

    Args:
        folder: checkpoint of the whole model, with the tokenizer of all that are compared.
        context: the texts.
        texts: size of the sample.

    Raises:
        InputError: the sample has no token to predict.
    """

    measure = "loss"

    def __init__(self, folder: Path, context: Context, texts: int) -> None:
        encoded, _ = some_texts(folder, context, texts, TOKENS)
        special = special_tokens(folder)
        stream, _ = join(encoded, special.get("eos"))
        if len(stream) < 2:
            raise InputError(f"{len(encoded)} texts without a token to predict", "importance of layers")
        self.context, self.texts = context, len(encoded)
        self.rows = PackedBlocks(np.asarray(stream[:TOKENS]), BLOCK, pad_id=special.get("pad", 0))

    def score(self, model: Any) -> float:
        """Return the loss per token, rounded to six digits."""
        # Not whichever is faster at the moment: near ties would go the other way from run to run.
        chosen = precisions.choose(self.context.precision or "fp32", model.config.hidden_size)
        found = losses_of(model, self.rows, CausalLanguageModel(), chosen, tick=self.context.tick)
        return round(found.mean, 6)

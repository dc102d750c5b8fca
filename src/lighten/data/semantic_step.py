"""`semantic_duplicates`: of rows that say the same in other words one is kept; embeddings are those of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from lighten.data.columns import Columns
from lighten.data.near_pairs import Duplicates
from lighten.data.near_step import SimilarStep
from lighten.data.semantic import THRESHOLD, Array, semantic_duplicates
from lighten.progress import Progress

TOKENS = 256
"""Tokens of a text that are read: an embedding is a mean, and the first ones tell what a text is about."""


class SemanticDuplicates(SimilarStep):
    """Keep one of the rows whose texts have nearly the same embedding."""

    name: ClassVar[str] = "semantic_duplicates"
    reason: ClassVar[str] = "semantic_duplicate"

    model: str = Field(description="Source of the encoder whose mean last hidden states are compared.")
    threshold: float = Field(
        default=THRESHOLD,
        ge=0.3,
        le=1,
        description="Smallest cosine of two embeddings.",
        json_schema_extra={"search": [0.9, 0.95, 0.98]},
    )

    def sources(self) -> list[str]:
        """Return the model."""
        return [self.model]

    def find(self, texts: Sequence[str], columns: Columns) -> Duplicates:
        """Return the pairs of texts with the same meaning."""
        folder = model_folder(self.model, columns.base)
        return semantic_duplicates(texts, lambda distinct: embeddings(folder, distinct), self.threshold, columns.seed)


def model_folder(source: str, base: Path | None = None, progress: Progress | None = None) -> Path:
    """Return the local folder of a model's source.

    Raises:
        InputError: the source cannot be reached, or is no folder of a model.
    """
    from lighten.models.checkpoint import check_model
    from lighten.sources import resolve

    folder = resolve(source, base=base, progress=progress).paths[0]
    check_model(folder)
    return folder


def embeddings(folder: Path, texts: Sequence[str], progress: Progress | None = None) -> Array:
    """Return the mean of each text's last hidden states [texts, hidden] in float32.

    Args:
        folder: a transformers folder of an encoder.
        texts: any texts; the first `TOKENS` tokens of each are read.
        progress: told how many tokens are done.
    """
    from lighten.models.load import load_classifier
    from lighten.models.tokens import encode, read_tokenizer
    from lighten.train import precision as precisions
    from lighten.train.infer import infer

    model = load_classifier(folder, ["a", "b"], seed=0)  # the head is of no account
    encoded = encode(read_tokenizer(folder), texts, min(TOKENS, position_limit(folder)))
    # Products in full precision: which rows are dropped must not depend on what else the machine did at the time.
    with (progress or Progress()).stage("embeddings") as stage:
        found = infer(
            model, encoded, int(model.config.pad_token_id or 0), precisions.choose("fp32"), pooled=True, stage=stage
        )
    assert found.pooled is not None
    pooled: Array = found.pooled.numpy()
    return pooled


def position_limit(folder: Path) -> int:
    """Return how many tokens an encoder has positions for."""
    from lighten.models.checkpoint import read_config
    from lighten.models.layout import shape_of

    return shape_of(read_config(folder), 2).positions

"""The section ``generate``: how summaries are written, to be measured after a training and by the model delivered."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lighten.recipe.section import Section


class Generate(Section):
    """How a model of the task summarization writes; everything has a good default."""

    beams: int = Field(default=4, ge=1, le=64)
    """Summaries followed side by side (beam search); 1 takes the likeliest token each time."""
    max_tokens: int = Field(default=128, ge=1, le=65536)
    """Longest summary in tokens."""
    length_penalty: float = Field(default=1.0, ge=-10, le=10)
    """A beam's log-probability is divided by its length to this power: above 1 favours longer summaries, 0 shorter."""
    no_repeat: int = Field(default=3, ge=0, le=100)
    """No run of so many tokens comes twice in a summary; 0 allows all."""
    chunk: int | None = Field(default=None, ge=16, le=1_000_000)
    """Texts of more tokens than this are cut between sentences into pieces, and each is summarised; when left out a
    text is cut at the model's limit. Pieces, no longer than the model reads, must be longer than a summary."""
    again: bool = True
    """Whether the joined summaries of the pieces are summarised once more."""
    words: int | Literal["auto"] = "auto"
    """Of an extractive summary, about; ``auto`` takes what does best on the validation part."""
    documents: int | None = Field(default=100, ge=0)
    """Texts of the validation and of the test part, each, that are summarised to measure ROUGE; null takes all, 0
    measures the perplexity alone."""

    @model_validator(mode="after")
    def _consistent(self) -> Generate:
        if self.words != "auto" and not 1 <= self.words <= 1_000_000:
            raise ValueError(f"generate.words: between 1 and 1,000,000 words, or auto; got {self.words}")
        if self.chunk is not None and self.max_tokens >= self.chunk:
            raise ValueError(
                f"generate.chunk: a piece must be longer than its summary (max_tokens {self.max_tokens}); "
                f"got {self.chunk}"
            )
        return self

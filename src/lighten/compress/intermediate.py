"""Structured pruning of the feed-forward layers, to one width in all layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from lighten.compress.copy import carry_notes
from lighten.compress.step import Context, ModelStep
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.layout import number_of
from lighten.models.slicing import keep_neurons


class Intermediate(ModelStep):
    """Keep the `width` most important neurons of every feed-forward layer.

    Two thirds of a BERT layer's products are there. Importance is the product of the norms of a neuron's
    incoming and outgoing weights; distillation recovers what is lost.
    """

    name: ClassVar[str] = "intermediate"

    width: int = Field(ge=8)
    """Neurons to keep; multiples of 64 suit the hardware."""

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the narrower checkpoint."""
        config = read_config(source)
        present = number_of(config, "intermediate_size")
        if self.width > present:
            raise InputError(f"width must be at most {present} but got {self.width}", "step 'intermediate'")
        write_checkpoint(target, *keep_neurons(config, read_state(source), self.width), tokenizer=source)
        carry_notes(source, target, head=True)
        return {"kept": self.width, "of": present}

"""Layer reduction: a student that keeps some layers of its teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from lighten.compress.copy import carry_notes
from lighten.compress.step import Context, ModelStep
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.layout import number_of
from lighten.models.slicing import LayerMap, keep_layers, layer_map


class Layers(ModelStep):
    """Keep `count` layers, copied from a trained model.

    Copying layers of the fine-tuned teacher replaces general distillation (DistilBERT, Sanh et al. 2019;
    sentence-transformers' layer reduction).
    """

    name: ClassVar[str] = "layers"

    count: int = Field(ge=1, json_schema_extra={"search": [1, 2, 3, 4, 6]})
    """Layers to keep."""
    map: LayerMap = "spread"
    """Which: the ``first``, the ``last``, or ``spread`` over the depth."""

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the shallower checkpoint."""
        config = read_config(source)
        total = number_of(config, "num_hidden_layers")
        if self.count > total:
            raise InputError(
                f"count must be at most {total}, the layers of the model, but got {self.count}", "step 'layers'"
            )
        kept = layer_map(total, self.count, self.map)
        write_checkpoint(target, *keep_layers(config, read_state(source), kept), tokenizer=source)
        carry_notes(source, target, head=True)
        return {"kept": kept, "of": total}

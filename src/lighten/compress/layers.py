"""Layer reduction: a student that keeps some layers of its teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from lighten.compress.copy import carry_notes
from lighten.compress.step import Context, ModelStep
from lighten.compress.token_states import embeddings_for, layers_stood_for, why_not
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.decoder.layout import is_decoder
from lighten.models.decoder.slicing import slicing_for
from lighten.models.slicing import layer_map

WHERE = "step 'layers'"


class Layers(ModelStep):
    """Keep `count` layers, copied from a trained model.

    Copying layers of the fine-tuned teacher replaces general distillation (DistilBERT, Sanh et al. 2019;
    sentence-transformers' layer reduction). Which ones to keep can be found out without training: by how much the
    answers suffer when layers are left out.
    """

    name: ClassVar[str] = "layers"
    short: ClassVar[str] = "count"

    count: int | None = Field(default=None, ge=1, json_schema_extra={"search": [1, 2, 3, 4, 6, 8, 12]})
    """Layers to keep."""
    map: Literal["first", "last", "spread", "alternate", "ends", "importance", "searched"] = "spread"
    """Which: the ``first``, the ``last``, the last of each of `count` equal blocks (``spread``, also called
    ``every-other``), the first of each (``alternate``), both ``ends`` and evenly between; those without which the
    model does worst (``importance``), or whichever of all these does best right after cutting (``searched``)."""
    kept: tuple[int, ...] | None = Field(default=None, min_length=1)
    """The layers themselves, counted from 0, in the order in which they shall run; instead of `count` and `map`."""
    texts: int = Field(default=256, ge=1)
    """Training texts to judge layers on, for ``importance`` and ``searched``."""
    embeddings: Literal["own", "states", "auto"] = "own"
    """The model's ``own``, or for each token its mean among the ``states`` between the layers below the first one
    kept, so that the embeddings stand for the lower ones of those, just over half of them; ``auto``: states where the
    model allows that. It pays before a distillation."""

    @field_validator("map", mode="before")
    @classmethod
    def _alias(cls, value: Any) -> Any:
        return "spread" if value == "every-other" else value

    @model_validator(mode="after")
    def _consistent(self) -> Layers:
        if (self.count is None) == (self.kept is None):
            raise ValueError("give either count, how many layers to keep, or kept, a list of them")
        if self.kept is not None and min(self.kept) < 0:
            raise ValueError(f"layers are counted from 0, but kept holds {min(self.kept)}")
        if self.kept is not None and len(set(self.kept)) < len(self.kept):
            raise ValueError(f"a layer can be kept once, but kept is {list(self.kept)}")
        return self

    def layers_needed(self) -> int:
        """Return how many layers the model must have at least."""
        return self.count or 1 + max(self.kept or (0,))

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the shallower checkpoint."""
        config = read_config(source)
        slicing = slicing_for(config)
        total = slicing.number_of(config, "num_hidden_layers")
        if self.count is not None and self.count > total:
            raise InputError(f"count must be at most {total}, the layers of the model, but got {self.count}", WHERE)
        if self.kept is not None and max(self.kept) >= total:
            raise InputError(f"kept must be below {total}, the layers of the model, but holds {max(self.kept)}", WHERE)
        state = read_state(source, leave=("frozen.safetensors",))
        kept, found = self._choose(source, total, context)
        if self._stands_for_layers(config) and kept[0]:
            found["embeddings_for"] = layers_stood_for(kept[0])
            state = embeddings_for(source, found["embeddings_for"], state, context)
        smaller, left = slicing.keep_layers(config, state, kept)
        write_checkpoint(target, smaller, left, tokenizer=source)
        carry_notes(source, target, head=True)
        if is_decoder(config) and 0 not in kept:
            found["note"] = "the first layer is gone, which a language model hardly stands; map=ends keeps it"
        return {"kept": kept, "of": total, **found}

    def _stands_for_layers(self, config: dict[str, Any]) -> bool:
        if self.embeddings == "own":
            return False
        reason = "it is a decoder" if is_decoder(config) else why_not(config)
        if reason and self.embeddings == "states":
            raise InputError(f"embeddings of this model cannot stand for layers: {reason}; use embeddings: own", WHERE)
        return not reason

    def _choose(self, source: Path, total: int, context: Context) -> tuple[list[int], dict[str, Any]]:
        """Return the layers to keep and what was found out on the way."""
        if self.kept is not None:
            return list(self.kept), {}
        assert self.count is not None
        if self.map != "importance" and self.map != "searched":
            return layer_map(total, self.count, self.map), {}
        if self.count == total:  # nothing to find out
            return list(range(total)), {}
        from lighten.compress.layer_scores import LayerScores

        scores = LayerScores(source, context, self.texts)
        return scores.greedy(self.count) if self.map == "importance" else scores.search(self.count)

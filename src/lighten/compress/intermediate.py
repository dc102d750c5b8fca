"""Structured pruning of the feed-forward layers, to one width in all layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from lighten.compress.copy import FROZEN, carry_notes
from lighten.compress.importance import importance_of
from lighten.compress.step import Context, ModelStep
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.decoder.layout import is_decoder
from lighten.models.decoder.slicing import slicing_for
from lighten.models.importance import Criterion, Scores
from lighten.models.layout import Array, check_post_norm, is_pre_norm

WHERE = "step 'intermediate'"


def check_width(field: str, width: int, present: int, multiple_of: int, where: str) -> None:
    """Refuse a width that the model does not have or that is no multiple of what suits the hardware.

    Raises:
        InputError: see above.
    """
    if width > present:
        raise InputError(f"{field} must be at most {present} but got {width}", where)
    if width % multiple_of and width != present:
        low = width // multiple_of * multiple_of
        near = f"{low} and {low + multiple_of} are" if low else f"{multiple_of} is"
        raise InputError(
            f"{field} must be a multiple of {multiple_of} but got {width}; {near}, and multiple_of: 1 takes any", where
        )


class Intermediate(ModelStep):
    """Keep the `width` most important neurons of every feed-forward layer.

    Two thirds of a BERT layer's products are there. Nothing is trained: a ``distil`` step after it recovers what is
    lost.
    """

    name: ClassVar[str] = "intermediate"
    short: ClassVar[str] = "width"

    width: int = Field(ge=8, json_schema_extra={"search_shares": [0.5, 1 / 3, 1 / 6]})
    """Neurons to keep."""
    importance: Criterion = "magnitude"
    """By which neurons are chosen: ``magnitude`` is the product of the norms of a neuron's incoming and outgoing
    weights, ``activation`` the root mean square of what it adds to the states, ``taylor`` what the task's loss would
    lose without it, to first order."""
    texts: int = Field(default=256, ge=1)
    """Training texts to look at for ``activation`` and ``taylor``."""
    multiple_of: int = Field(default=8, ge=1)
    """Widths that are no multiple of it are refused: registers hold 8 or 16 numbers, and int8 products go by 32 or
    64."""

    def check_model(self, config: Mapping[str, Any], where: str) -> None:
        """Refuse criteria that look at the states of a post-norm encoder."""
        if self.importance != "magnitude":
            check_post_norm(config, f"importance {self.importance!r}", where, "importance 'magnitude' does for it")

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the narrower checkpoint."""
        config = read_config(source)
        self.check_model(config, WHERE)
        slicing = slicing_for(config)
        present = slicing.number_of(config, "intermediate_size")
        check_width("width", self.width, present, self.multiple_of, WHERE)
        state = read_state(source, leave=(FROZEN,))
        neurons = self._scores(source, config, state, context)
        smaller, left = slicing.keep_neurons(config, state, self.width, list(neurons))
        write_checkpoint(target, smaller, left, tokenizer=source)
        carry_notes(source, target, head=True)
        return {
            "kept": self.width,
            "of": present,
            "importance": self.importance,
            "importance_kept": shares_kept(neurons, self.width),
        }

    def _scores(self, source: Path, config: Mapping[str, Any], state: Mapping[str, Array], context: Context) -> Scores:
        """Return the importance of every neuron [layers, intermediate]."""
        if not is_decoder(config) and not is_pre_norm(config):
            return importance_of(source, context, self.importance, self.texts).neurons
        if is_decoder(config) and self.importance != "magnitude":
            raise InputError(
                f"importance must be 'magnitude' for a language model but got {self.importance!r}: the others look at "
                "the states of an encoder",
                WHERE,
            )
        slicing = slicing_for(config)
        layers = range(slicing.number_of(config, "num_hidden_layers"))
        return np.stack([slicing.neuron_importance(config, state, layer) for layer in layers])


def shares_kept(scores: Scores, count: int) -> list[float]:
    """Return the share of each row's sum that its `count` largest scores make up."""
    top = -np.sort(-scores, axis=1)[:, :count]
    totals = scores.sum(1)
    return [
        round(float(part / whole), 4) if whole > 0 else 1.0 for part, whole in zip(top.sum(1), totals, strict=True)
    ]

"""Which inner features of a teacher are wanted, and what they take on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lighten.errors import InputError
from lighten.models.layout import names_of, number_of
from lighten.train.objectives.capture import qkv_modules


@dataclass(frozen=True)
class Side:
    """What matters of a student or teacher here.

    Attributes:
        layers: their number.
        width: of the hidden states.
        heads: of attention.
        apart: whether queries, keys and values come out of modules of their own, where they can be looked at.
    """

    layers: int
    width: int
    heads: int
    apart: bool = True


def side_of(config: Mapping[str, Any]) -> Side:
    """Read it out of a config.

    Raises:
        InputError: a number is missing, or the type is not supported.
    """
    layers, width, heads = (
        number_of(config, key) for key in ("num_hidden_layers", "hidden_size", "num_attention_heads")
    )
    return Side(layers, width, heads, apart=not names_of(config).fused)


@dataclass(frozen=True)
class Wanted:
    """Layers whose features are kept, counted from 1 (0: embeddings, -1: the last); none keeps the logits alone."""

    states: tuple[int, ...] = ()
    qkv: tuple[int, ...] = ()

    def numbered(self, teacher: Any) -> Wanted:
        """Return the same with every layer counted from the bottom.

        Raises:
            InputError: a layer that the teacher does not have, or no queries, keys and values there.
        """
        depth = side_of(teacher.config.to_dict()).layers
        numbered = []
        for least, layers in ((0, self.states), (1, self.qkv)):
            found = {layer + depth + 1 if layer < 0 else layer for layer in layers}
            for layer in found:
                if not least <= layer <= depth:
                    raise InputError(f"the teacher has layers {least} to {depth}, not {layer}", "teacher")
            numbered.append(tuple(sorted(found)))
        for layer in numbered[1]:
            if qkv_modules(teacher, layer) is None:
                kind = teacher.config.model_type
                raise InputError(f"model type {kind!r} has no queries, keys and values to take out", "teacher")
        return Wanted(numbered[0], numbered[1])


def bytes_per_token(teacher: Any, wanted: Wanted) -> int:
    """Return the bytes that the features of one token take on disk; layers counted from the bottom."""
    width = teacher.config.hidden_size
    qkv = 0
    for layer in wanted.qkv:
        modules = qkv_modules(teacher, layer) or []
        qkv += sum(int(getattr(module, "out_features", width)) for module in modules)
    return 2 * (len(wanted.states) * width + qkv)

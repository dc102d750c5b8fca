"""The parts of an encoder as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lighten.models.attention.pattern import Pattern
from lighten.models.layout import Array


@dataclass(frozen=True)
class Dense:
    """``activation(x @ weight + bias)``: weight [in, out], bias [out]."""

    weight: Array
    bias: Array
    activation: str = ""


@dataclass(frozen=True)
class Norm:
    """Layer normalisation, or in an affine encoder ``x * scale + shift`` alone: scale and shift [hidden]."""

    scale: Array
    shift: Array


@dataclass(frozen=True)
class Layer:
    """One transformer layer; `qkv` joins query, key and value in one matrix [hidden, 3 hidden].

    In a post-norm encoder the norms are those of the sums behind `attention_out` and `down`. In a pre-norm one they
    are in front of `qkv` and `up`, and `up` [hidden, 2 intermediate] makes what its activation takes, then the gates
    that the activation's results are multiplied by.
    """

    qkv: Dense
    attention_out: Dense
    attention_norm: Norm
    up: Dense
    down: Dense
    norm: Norm


@dataclass(frozen=True)
class PreNorm:
    """What an encoder has besides whose layers norm what they read, and turn queries and keys (ModernBERT).

    The first layer's `attention_norm` is the identity, and none is drawn: the embeddings were normed.

    Attributes:
        angles: per layer: by how much a position turns each pair of channels, in radians [head size / 2]. Channel i
            and channel i + head size / 2 are a pair (Su et al. 2021, in the order of GPT-NeoX).
        final_norm: of the states behind the last layer.
        head_norm: behind the activation of the head's first product; None without such a head.
    """

    angles: tuple[Array, ...]
    final_norm: Norm
    head_norm: Norm | None


@dataclass(frozen=True)
class Encoder:
    """A whole classifier.

    Attributes:
        words: token embeddings [vocabulary, width].
        positions: position embeddings [positions, width], the first row for the first token; the embedding
            of token type 0 is added in, since single texts know no other type. Where positions are rotary they
            have no width: [positions, 0].
        projection: from the embeddings' width to the hidden width (ELECTRA), or None.
        head: dense layers after pooling; empty for a feature extractor.
        pooling: ``"first"`` token or ``"mean"`` over the tokens.
        affine: the norms are affine maps (see `lighten.models.norms`).
        attention: the pattern of each layer, None where every token sees every other; empty where all do.
        pre_norm: None for a post-norm encoder.
    """

    words: Array
    positions: Array
    norm: Norm
    projection: Dense | None
    layers: tuple[Layer, ...]
    heads: int
    epsilon: float
    head: tuple[Dense, ...]
    pooling: str = "first"
    affine: bool = False
    attention: tuple[Pattern | None, ...] = ()
    pre_norm: PreNorm | None = None

    def pattern(self, layer: int) -> Pattern | None:
        """Return the pattern of a layer's attention; None for full attention."""
        return self.attention[layer] if self.attention else None

    def with_head(self, *head: Dense, pooling: str) -> Encoder:
        """Return the same encoder with another head on its states, which brings no norm of its own."""
        pre_norm = self.pre_norm and replace(self.pre_norm, head_norm=None)
        return replace(self, head=head, pooling=pooling, pre_norm=pre_norm)

"""Students of another width: hidden states, heads, feed-forward layers and depth cut out of a teacher at once.

The hidden states x of the teacher become ``z = basis.T x`` (see `lighten.models.basis`). All that is linear follows
exactly: what reads x reads ``basis z``, what is written is written through ``basis.T``. Two things are approximations:

- what lies outside the basis is taken to be constant, at its mean behind the norm, and joins the readers' biases;
- a layer normalisation divides by the spread of fewer channels, which its scale makes up for on average. The spreads
  are estimated from the weights; `lighten.models.width_fit` fits them on texts instead.

With all channels kept, and with channels dropped that are always zero, the student is its teacher.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lighten.models.affine import TENSORS, norm_of
from lighten.models.basis import norm_parts, prefix_of
from lighten.models.heads import Method, resize_heads
from lighten.models.layer_kinds import spread_kinds
from lighten.models.layout import Array, names_of, number_of
from lighten.models.slicing import Checkpoint, keep_layers, keep_neurons

RECTIFIED = 0.5
"""Share of a value's power that is left behind GELU or ReLU."""


@dataclass(frozen=True)
class Size:
    """The numbers of an encoder: depth, hidden width, attention heads, width of the feed-forward layers."""

    layers: int
    hidden: int
    heads: int
    ffn: int


def size_of(config: Mapping[str, Any]) -> Size:
    """Read the size out of a config."""
    keys = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")
    return Size(*(number_of(config, key) for key in keys))


def config_of_size(config: Mapping[str, Any], size: Size) -> dict[str, Any]:
    """Return the config with another size, in the spelling of its type."""
    names = names_of(config)
    standard = {
        "num_hidden_layers": size.layers,
        "hidden_size": size.hidden,
        "num_attention_heads": size.heads,
        "intermediate_size": size.ffn,
    }
    changed = {**config, **{names.key_of(key): value for key, value in standard.items()}}
    # A DistilBERT that was exported says hidden_size beside dim; ELECTRA may embed at the hidden width.
    changed.update({key: value for key, value in standard.items() if key in config})
    if config.get("embedding_size") == number_of(config, "hidden_size"):
        changed["embedding_size"] = size.hidden
    return {**changed, **spread_kinds(config, size.layers)}


def reshape(
    config: Mapping[str, Any],
    state: Mapping[str, Array],
    size: Size,
    kept: Sequence[int],
    basis: Array,
    method: Method,
    seed: int = 0,
) -> Checkpoint:
    """Cut a student out of a teacher.

    Args:
        config: of the teacher.
        state: its tensors; those that belong neither to the encoder nor to the classifier are left out.
        size: of the student.
        kept: the teacher's layers to keep, `size.layers` of them.
        basis: directions of the hidden states to keep [teacher's hidden, student's hidden].
        method: how the dimensions of heads are dropped.
        seed: of what heads lack that grow.

    Raises:
        ValueError: the heads do not divide the hidden width, or a width is not one of the teacher's or less.
    """
    if size.hidden % size.heads:
        raise ValueError(f"hidden must be a multiple of the heads but {size.hidden} is none of {size.heads}")
    if basis.shape != (number_of(config, "hidden_size"), size.hidden):
        raise ValueError(f"the basis must have a column for each of {size.hidden} channels but is {basis.shape}")
    config, state = keep_layers(config, state, kept)
    config, state = keep_neurons(config, state, size.ffn)
    state = resize_heads(config, state, size.heads, size.hidden // size.heads, method, seed)
    return config_of_size(config, size), project(config, state, basis)


def project(config: Mapping[str, Any], state: Mapping[str, Array], basis: Array) -> dict[str, Array]:
    """Return the tensors of the encoder and classifier with the hidden states ``basis.T x``.

    Heads and feed-forward layers stay as they are. The hidden layer of the head has as many neurons as there are
    channels: those that weigh most are kept.
    """
    return _Projection(config, state, basis).run()


class _Projection:
    """Walks through the encoder as the hidden states do."""

    def __init__(self, config: Mapping[str, Any], state: Mapping[str, Array], basis: Array) -> None:
        self.config, self.state, self.basis = config, state, basis.astype(np.float64)
        self.names, self.prefix = names_of(config), prefix_of(config, state)
        self.result: dict[str, Array] = {}

    def run(self) -> dict[str, Array]:
        names = self.names
        mean, power = self._embeddings()
        for index in range(number_of(self.config, "num_hidden_layers")):
            at = self.prefix + names.layer.format(i=index)
            for part in (names.query, names.key, names.value):
                self._read(at + part, mean)
            inner = self._through(at + names.value, power[0])
            added = self._write(at + names.attention_out, inner)
            mean, power = self._norm(at + names.attention_norm, _add(power, added))
            self._read(at + names.up, mean)
            inner = RECTIFIED * self._through(at + names.up, power[0])
            added = self._write(at + names.down, inner)
            mean, power = self._norm(at + names.norm, _add(power, added))
        self._head(mean)
        return {name: np.ascontiguousarray(value, np.float32) for name, value in self.result.items()}

    def _embeddings(self) -> tuple[Array, tuple[Array, Array]]:
        """Return mean and power of the states that enter the first layer."""
        at = self.prefix + "embeddings."
        tables = [n for n in self.state if n.startswith(at) and n.endswith("_embeddings.weight")]
        projection = self.prefix + "embeddings_project"
        if projection + ".weight" in self.state:
            own = {n: v for n, v in self.state.items() if n.startswith(at) and v.dtype.kind == "f"}
            self.result.update(own)
            scale, shift = norm_parts(self.config, self.state, at + "LayerNorm")
            power = self._write(projection, np.square(scale) + np.square(shift))
            weight = self.state[projection + ".weight"].astype(np.float64)
            return weight @ shift + self.state[projection + ".bias"], power
        powers = (np.zeros(self.basis.shape[0]), np.zeros(self.basis.shape[1]))
        for name in tables:
            table = self.state[name].astype(np.float64)
            self.result[name] = table @ self.basis
            powers = _add(powers, (np.square(table).mean(0), np.square(self.result[name]).mean(0)))
        return self._norm(at + "LayerNorm", powers)

    def _read(self, name: str, mean: Array) -> None:
        weight = self.state[name + ".weight"].astype(np.float64)
        lost = mean - self.basis @ (self.basis.T @ mean)
        self.result[name + ".weight"] = weight @ self.basis
        self.result[name + ".bias"] = self.state[name + ".bias"] + weight @ lost

    def _write(self, name: str, power: Array) -> tuple[Array, Array]:
        """Write through the basis; returns the power of what is written, before and after."""
        weight, bias = self._dense(name)
        new, new_bias = self.basis.T @ weight, self.basis.T @ bias
        self.result[name + ".weight"], self.result[name + ".bias"] = new, new_bias
        return np.square(weight) @ power + np.square(bias), np.square(new) @ power + np.square(new_bias)

    def _through(self, name: str, power: Array) -> Array:
        """Power behind a product, were its inputs independent of each other."""
        weight, bias = self._dense(name)
        return np.asarray(np.square(weight) @ power + np.square(bias))

    def _dense(self, name: str) -> tuple[Array, Array]:
        return self.state[name + ".weight"].astype(np.float64), self.state[name + ".bias"].astype(np.float64)

    def _norm(self, name: str, power: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        """Narrow a norm whose input has this power; returns mean and power of what it answers."""
        squares = np.square(self.basis)
        scale, shift = norm_parts(self.config, self.state, name)
        kind = norm_of(self.config)
        if kind == "layer":
            ratio = float(np.sqrt(power[1].mean() / max(power[0].mean(), 1e-30)))
            self.result[name + ".weight"] = ratio * (squares.T @ scale)
            self.result[name + ".bias"] = self.basis.T @ shift
        else:
            for part in TENSORS[kind]:
                turn = squares if part in ("gain", "variance") else self.basis
                self.result[f"{name}.{part}"] = turn.T @ self.state[f"{name}.{part}"].astype(np.float64)
        # A channel that varies less than the others before the norm does so behind it.
        varied = np.square(scale) * power[0] / max(power[0].mean(), 1e-30)
        return shift, (varied + np.square(shift), squares.T @ varied + np.square(self.basis.T @ shift))

    def _head(self, mean: Array) -> None:
        (first, _), (second, _) = self.names.head
        first = first if self.prefix else first.removeprefix(self.names.prefix)  # a bare BERT may bring its pooler
        if first + ".weight" in self.state:
            self._read(first, mean)
            own = (self.state[first + ".weight"], self.state[first + ".bias"])
            weights = np.linalg.norm(np.column_stack(own), axis=1)
            if second + ".weight" in self.state:
                weights = weights * np.linalg.norm(self.state[second + ".weight"], axis=0)
            kept = np.sort(np.argsort(-weights, kind="stable")[: self.basis.shape[1]])
            self.result |= {first + part: self.result[first + part][kept] for part in (".weight", ".bias")}
            if second + ".weight" in self.state:
                self.result[second + ".weight"] = self.state[second + ".weight"][:, kept]
                self.result[second + ".bias"] = self.state[second + ".bias"]


def _add(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
    return first[0] + second[0], first[1] + second[1]

"""Layers that compute with quantised numbers while a model trains (Jacob et al. 2018).

They stand in the place of a transformers model's own layers and share their weights, so that what is trained is an
ordinary model; and they round what the drawn int8 graph rounds, as it does for one text at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch.nn import functional

from lighten.models.attention.pattern import patterns_of, sees_everything
from lighten.models.layout import names_of
from lighten.models.quantised.fake import fake_activations, fake_weight, range_of
from lighten.models.stack import layers_of

Ranges = dict[str, tuple[float, float]]
Inputs = Literal["all", "first", "exact"]


class LearnedRange(torch.nn.Module):
    """The constant range of some activations, which training may stretch or shrink at either end by a factor.

    Its gradient is scaled down by what it is summed over (Esser et al. 2020), or it alone would fill the norm that
    gradients are clipped at.
    """

    ends: torch.Tensor

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.register_buffer("ends", torch.tensor([low, high]))
        self.stretch = torch.nn.Parameter(torch.zeros(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activations as uint8 stores them."""
        share = (255 * x.numel()) ** -0.5
        stretch = self.stretch * share + (self.stretch * (1 - share)).detach()
        low, high = self.ends * stretch.exp()
        return fake_activations(x, low, high)

    def found(self) -> tuple[float, float]:
        """Return the range as it is now."""
        low, high = (self.ends * self.stretch.detach().exp()).tolist()
        return low, high


class RealTokens:
    """Which tokens of the batch in the model are no padding: its attention mask, taken as each forward pass begins."""

    def __init__(self) -> None:
        self._mask: torch.Tensor | None = None

    def __call__(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take the mask: a forward pre-hook of the model, with keywords."""
        found = kwargs.get("attention_mask", args[1] if len(args) > 1 else None)
        self._mask = found if isinstance(found, torch.Tensor) and found.dim() == 2 else None

    def of(self, x: torch.Tensor) -> torch.Tensor:
        """Return activations [rows, tokens, width] with padding set to zero, which is in every range; others as is."""
        if self._mask is None or x.shape[:-1] != self._mask.shape:
            return x
        return x * self._mask[..., None].to(x.dtype)


class QuantisedLinear(torch.nn.Linear):
    """A linear layer with its weights in int8, one scale per output, and its inputs in uint8.

    Args:
        linear: shares its parameters.
        bits: of each weight that are used.
        range_: constant range of the inputs; None finds the range of each text.
        real: knows the padding, which no text's range may depend on; None for batches without any.
        inputs: ``first``: the graph computes the first token alone, whose activations make the range of a text;
            ``exact``: it multiplies activations that are not rounded.
    """

    def __init__(
        self,
        linear: torch.nn.Linear,
        bits: int,
        range_: LearnedRange | None,
        real: RealTokens | None = None,
        inputs: Inputs = "all",
    ) -> None:
        torch.nn.Module.__init__(self)  # makes no weights of its own
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.bits, self.range, self.real, self.inputs = bits, range_, real or RealTokens(), inputs

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return [..., out]."""
        x = input.float()
        if self.inputs == "exact":
            pass
        elif self.range is not None:
            x = self.range(x)
        else:
            seen = x[:, :1] if self.inputs == "first" and x.dim() == 3 else self.real.of(x)
            x = fake_activations(x, *range_of(seen, per_text=True))
        return functional.linear(x, fake_weight(self.weight, self.bits, inputs=1), self.bias)


def linears_of(model: Any) -> dict[str, list[str]]:
    """Return the linear layers behind each product of the drawn graph, by the product's name."""
    names = names_of(model.config.to_dict())
    prefix = model.base_model_prefix + "."
    found: dict[str, list[str]] = {}
    if isinstance(getattr(model.base_model, "embeddings_project", None), torch.nn.Linear):
        found["projection"] = [prefix + "embeddings_project"]
    for index in range(len(layers_of(model))):
        at = prefix + names.layer.format(i=index)
        found[f"layer{index}.qkv"] = [at + part for part in (names.query, names.key, names.value)]
        for part in ("attention_out", "up", "down"):
            found[f"layer{index}.{part}"] = [at + getattr(names, part)]
    for index, (name, _) in enumerate(names.head[:-1]):
        found[f"head{index}"] = [name]
    return found


@contextmanager
def quantised(model: Any, bits: int, ranges: Mapping[str, tuple[float, float]], learned: Ranges) -> Iterator[None]:
    """Let a classifier compute with int8 numbers; on leaving it has its own layers again, with the trained weights.

    Args:
        model: of transformers.
        bits: of each weight that are used.
        ranges: of activations by product, to start from; empty finds the range of each text.
        learned: filled with the ranges as they are on leaving.
    """
    shared: dict[str, LearnedRange] = {}
    own: dict[str, Any] = {}
    real = RealTokens()
    for product, places in linears_of(model).items():
        if ranges:
            shared[product] = LearnedRange(*ranges[product])
        for place in places:
            own[place] = model.get_submodule(place)
            made = QuantisedLinear(own[place], bits, shared.get(product), real, _inputs(model, product, place))
            _put(model, place, made)
    hooks = [*_tables(model), model.register_forward_pre_hook(real, with_kwargs=True)]
    try:
        yield
    finally:
        learned.update({product: range_.found() for product, range_ in shared.items()})
        for hook in hooks:
            hook.remove()
        for place, linear in own.items():
            _put(model, place, linear)


def _inputs(model: Any, product: str, place: str) -> Inputs:
    """Return what the graph of a classifier multiplies, see `lighten.export.first_token`."""
    config, depth = model.config.to_dict(), len(layers_of(model))
    if not product.startswith(f"layer{depth - 1}."):
        return "all"
    if product.endswith(".qkv") and not sees_everything(patterns_of(config, depth)[-1]):
        return "all"
    names = names_of(config)
    return "exact" if place.endswith((names.key, names.value)) else "first"


def _tables(model: Any) -> list[Any]:
    """Round the rows of both tables to int8: the graph adds the one token type to the positions first."""
    embeddings = model.base_model.embeddings
    kinds = getattr(embeddings, "token_type_embeddings", None)

    def words(_: Any, __: Any, rows: torch.Tensor) -> torch.Tensor:
        return fake_weight(rows, 8, inputs=-1)

    def positions(_: Any, __: Any, rows: torch.Tensor) -> torch.Tensor:
        kind = 0 if kinds is None else kinds.weight[0]
        return fake_weight(rows + kind, 8, inputs=-1) - kind

    return [
        model.get_input_embeddings().register_forward_hook(words),
        embeddings.position_embeddings.register_forward_hook(positions),
    ]


def _put(model: Any, place: str, module: torch.nn.Module) -> None:
    parent, _, last = place.rpartition(".")
    setattr(model.get_submodule(parent), last, module)

"""Students without layer normalisation: an affine map per channel takes its place, and disappears at export.

Layer normalisation needs the mean and spread of every token; these two do not when they serve:

- ``none``: ``gain * x + shift`` (NoNorm; MobileBERT, Sun et al. 2020),
- ``batch``: batch normalisation over the real tokens (how it fares in transformers: PowerNorm, Shen et al. 2020).

Plain transformers cannot express either: beside such a checkpoint's config stands ``lighten_norm``, which
`lighten.models.load` and the exporter understand, and the ONNX graph is the model to serve (as for a frozen
encoder with its own head). The parameters have names of their own, so that plain transformers reports them as
missing rather than taking them for those of a layer normalisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from lighten.errors import InputError
from lighten.models.affine import EPSILON, KINDS, NOTE, TENSORS, norm_of
from lighten.models.calibrate import moments, record, refit
from lighten.models.checkpoint import read_state
from lighten.models.layout import Names, check_post_norm, names_of
from lighten.models.stack import layers_of

Kind = Literal["layer", "none", "batch"]


class NoNorm(torch.nn.Module):
    """``gain * x + shift`` [..., hidden]."""

    def __init__(self, gain: torch.Tensor, shift: torch.Tensor) -> None:
        super().__init__()
        self.gain, self.shift = torch.nn.Parameter(gain.clone()), torch.nn.Parameter(shift.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the same shape."""
        return x * self.gain + self.shift

    def fit(self, x: torch.Tensor, gain: torch.Tensor, shift: torch.Tensor) -> None:
        """Become the affine map with this gain and shift."""
        _assign(self.gain, gain)
        _assign(self.shift, shift)


class Masks:
    """The attention mask of the forward pass that is under way, for modules that are given states alone.

    Called as a hook before every forward pass of the base model.
    """

    def __init__(self) -> None:
        self.mask: torch.Tensor | None = None
        self.passes = 0

    def __call__(self, module: Any, inputs: Any, named: dict[str, Any]) -> None:
        """Remember the mask [rows, tokens]."""
        self.mask = named.get("attention_mask", inputs[1] if len(inputs) > 1 else None)
        self.passes += 1


class TokenBatchNorm(torch.nn.Module):
    """Batch normalisation of every channel over the real tokens; in evaluation ``gain * x + shift`` as well.

    Statistics are those of one micro-batch on one process. When activation checkpointing runs a layer again, the
    running ones are left alone; a frozen norm (`gain` without gradient) always uses them as they are.

    Args:
        gain: [hidden].
        shift: [hidden].
        masks: tells which tokens are padding.
        momentum: share of a batch in the running statistics.
    """

    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self, gain: torch.Tensor, shift: torch.Tensor, masks: Masks, momentum: float = 0.1) -> None:
        super().__init__()
        self.gain, self.shift = torch.nn.Parameter(gain.clone()), torch.nn.Parameter(shift.clone())
        self.register_buffer("mean", torch.zeros_like(gain))
        self.register_buffer("variance", torch.ones_like(gain))
        self.masks, self.momentum, self._seen = masks, momentum, -1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor [rows, tokens, hidden] of the same shape."""
        mean, variance = self.mean, self.variance
        if self.training and self.gain.requires_grad:
            mean, variance = moments(x.float(), self.masks.mask)
            if self._seen != self.masks.passes:
                self._seen = self.masks.passes
                with torch.no_grad():
                    self.mean.lerp_(mean, self.momentum)
                    self.variance.lerp_(variance, self.momentum)
        scale = self.gain * (variance + EPSILON).rsqrt()
        return x * scale + (self.shift - mean * scale)

    def fit(self, x: torch.Tensor, gain: torch.Tensor, shift: torch.Tensor) -> None:
        """Become the affine map with this gain and shift, with the statistics of the tokens `x` [n, hidden]."""
        mean, variance = moments(x, None)
        self.mean.copy_(mean)
        self.variance.copy_(variance)
        _assign(self.gain, gain * (self.variance + EPSILON).sqrt())
        _assign(self.shift, shift + gain * self.mean)


def set_norm(model: Any, kind: Kind, inputs: Mapping[str, torch.Tensor] | None = None) -> dict[str, float]:
    """Put another normalisation in the place of the layer normalisations of a BERT-type model.

    With `inputs` the new ones are fitted from the bottom up: each becomes the affine map that, of what now reaches
    it, comes nearest to what the old one answered (least squares per channel), so that the function changes least
    and later maps make up for what earlier ones could not.

    Args:
        model: changed in place; its config keeps the note.
        kind: ``"none"`` or ``"batch"``; ``"layer"`` leaves a model with layer normalisation as it is.
        inputs: ``input_ids`` and ``attention_mask`` of one batch of texts; a few thousand tokens are enough.

    Returns:
        By norm, the share of its old answer's variance that the new one misses; empty without `inputs`.

    Raises:
        InputError: no BERT-type model, or it has another normalisation already.
    """
    names = names_of(model.config.to_dict())
    present = norm_of(model.config.to_dict())
    if kind != "layer":
        check_post_norm(model.config.to_dict(), f"norm {kind!r}", "config.json")
    if kind not in KINDS:
        raise InputError(f"norm {kind!r} is not one of {', '.join(KINDS)}")
    if kind == present:
        return {}
    if present != "layer":
        raise InputError(f"a model with norm {present!r} cannot be given {kind!r}: there is no way back")
    old = _norms(model, names)
    wanted = {} if inputs is None else record(model, old, inputs)
    swap(model, kind)
    return {} if inputs is None else refit(model, _norms(model, names), wanted, inputs)


def swap(model: Any, kind: str) -> list[str]:
    """Put modules of another kind in the places of the layer normalisations, with their weights as gain and shift.

    Returns:
        Their names, for whoever fills them from a checkpoint.
    """
    masks = Masks()
    norms = _norms(model, names_of(model.config.to_dict()))
    for name, module in norms.items():
        gain, shift = module.weight.detach(), module.bias.detach()
        new = NoNorm(gain, shift) if kind == "none" else TokenBatchNorm(gain, shift, masks)
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, new.train(model.training))
    if kind == "batch":
        model.base_model.register_forward_pre_hook(masks, with_kwargs=True)
    setattr(model.config, NOTE, kind)
    return list(norms)


def restore(model: Any, folder: Path) -> tuple[str, ...]:
    """Give a model that transformers has just loaded the normalisation that its config asks for.

    Returns:
        The names of the modules put in; none where it is layer normalisation.

    Raises:
        InputError: the folder lacks their tensors.
    """
    kind = norm_of(model.config.to_dict())
    if kind == "layer":
        return ()
    names = swap(model, kind)
    wanted = {f"{name}.{part}": model.get_submodule(name) for name in names for part in TENSORS[kind]}
    state = read_state(folder, only=wanted)
    missing = sorted(set(wanted) - set(state))
    if missing:
        raise InputError(f"its norms are {kind!r}, but {missing[0]} is not among the weights", str(folder))
    for name, module in wanted.items():
        target: torch.Tensor = getattr(module, name.rpartition(".")[2])
        value = torch.from_numpy(state[name])
        if value.shape != target.shape:
            raise InputError(f"{name} has shape {tuple(value.shape)}, not {tuple(target.shape)}", str(folder))
        _assign(target, value)
    return tuple(names)


def _norms(model: Any, names: Names) -> dict[str, Any]:
    """Return the normalisations of embeddings and layers by name, in the order in which they run."""
    prefix = model.base_model_prefix + "." if model.base_model is not model else ""
    places = ["embeddings.LayerNorm"]
    for index in range(len(layers_of(model))):
        places += [names.layer.format(i=index) + part for part in (names.attention_norm, names.norm)]
    return {prefix + place: model.get_submodule(prefix + place) for place in places}


def _assign(parameter: torch.Tensor, value: torch.Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(value)

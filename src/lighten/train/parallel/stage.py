"""One stage of a pipeline: the model itself, in which the parts of other stages are stood in for.

The model's own forward pass runs on every stage, so masks and positions are made by the code that knows how. What
comes before the first layer of a stage is replaced by what the stage before has sent, layers of other stages by
doing nothing. Parameters keep the names they have in the whole model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from lighten.errors import InputError
from lighten.train.parallel.layers import Named, first_tensor, layers_of, outside
from lighten.train.precision import Precision


class Received(nn.Module):
    """Stands for the embeddings: returns what the stage before sent, whatever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: torch.Tensor | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the hidden states [rows, tokens, width]."""
        return self.hidden


class Passed(nn.Module):
    """Stands for a part of another stage: returns what it gets."""

    def __init__(self, original: nn.Module, wrapped: bool = False) -> None:
        super().__init__()
        for name, value in vars(
            original
        ).items():  # what the model asks its layers about, such as the kind of attention
            if not name.startswith("_") and name != "training":
                setattr(self, name, value)
        self.wrapped = wrapped

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the first argument, in a tuple where the original answered with one."""
        hidden = args[0] if args else kwargs["hidden_states"]
        return (hidden,) if self.wrapped else hidden


class Plan:
    """What of a model can go to which stage, found by running it once.

    Args:
        model: a whole sequence classifier in evaluation mode.
        inputs: a batch for it.

    Raises:
        InputError: something else than hidden states passes from layer to layer, so it cannot be cut.
    """

    def __init__(self, model: Any, inputs: dict[str, torch.Tensor]) -> None:
        self.model, self.layers = model, layers_of(model)
        if not self.layers or not hasattr(getattr(model, "base_model", None), "config") or model.base_model is model:
            raise _uncuttable(model, "it has no stack of layers under a head")
        self.front: Named = []
        self.back: Named = []
        self._follow(inputs)

    def _follow(self, inputs: dict[str, torch.Tensor]) -> None:
        calls: list[tuple[nn.Module, Any, Any]] = []

        def called(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            calls.append((module, args[0] if args else kwargs.get("hidden_states"), output))

        around = outside(self.model, self.layers)
        watched = [module for _, module in [*around, *self.layers]]
        handles = [module.register_forward_hook(called, with_kwargs=True) for module in watched]
        try:
            with torch.no_grad():
                self.model(**inputs)
        finally:
            for handle in handles:
                handle.remove()
        order = [module for module, _, _ in calls]
        stack = [layer for _, layer in self.layers]
        if [module for module in order if module in stack] != stack:
            raise _uncuttable(self.model, "its layers do not run once each, one after the other")
        first = order.index(stack[0])
        ahead = set(order[:first])
        self.front = [(name, module) for name, module in around if module in ahead]
        self.back = [(name, module) for name, module in around if module not in ahead]
        hidden = first_tensor(calls[first - 1][2]) if first else None
        if hidden is None or calls[first][1] is not hidden:
            raise _uncuttable(self.model, "its first layer takes more than what its embeddings give")
        self.wrapped = isinstance(calls[first][2], tuple)
        held = {id(p) for _, module in [*around, *self.layers] for p in module.parameters()}
        if any(id(p) not in held for p in self.model.parameters()):
            raise _uncuttable(self.model, "it has parameters outside its modules")

    def owners(self, parts: list[range]) -> dict[str, int]:
        """Return which stage keeps each tensor of the state."""
        homes = [(name, 0) for name, _ in self.front] + [(name, len(parts) - 1) for name, _ in self.back]
        homes += [(self.layers[i][0], stage) for stage, part in enumerate(parts) for i in part]
        owners = {}
        for key in self.model.state_dict():
            owners[key] = next((stage for name, stage in homes if key.startswith(name + ".")), 0)
        shared: dict[int, str] = {}
        for key, value in self.model.state_dict(keep_vars=True).items():
            other = shared.setdefault(id(value), key)
            if owners[other] != owners[key]:
                raise _uncuttable(self.model, f"{other} and {key} are one tensor and would lie on two stages")
        return owners

    def keep(self, part: range, first: bool, last: bool) -> Stage:
        """Drop from the model what other stages keep; returns what this one runs."""
        received = Received()
        for index, (name, layer) in enumerate(self.layers):
            if index not in part:
                self.model.set_submodule(name, Passed(layer, self.wrapped))
        for name, _ in [] if first else self.front:
            self.model.set_submodule(name, received)
        for name, module in [] if last else self.back:
            self.model.set_submodule(name, Passed(module))
        return Stage(self.model, None if first else received, last)


class Stage(nn.Module):
    """What a stage runs; takes token ids on the first stage and hidden states on the others."""

    def __init__(self, model: Any, received: Received | None, last: bool) -> None:
        super().__init__()
        self.model, self.received, self.last = model, received, last
        self.precision = Precision("fp32", "")

    def forward(self, given: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
        """Return hidden states [rows, tokens, width], on the last stage logits [rows, classes], in fp32."""
        if self.received is not None:
            self.received.hidden = given
        with self.precision.context():
            if self.last:
                return self.model(**inputs).logits.float()
            return self.model.base_model(**inputs).last_hidden_state.float()


def _uncuttable(model: Any, why: str) -> InputError:
    return InputError(
        f"a pipeline cannot cut {type(model).__name__}: {why}; use parallel ddp or fsdp", "train.parallel"
    )

"""Causal language modelling of endless streams by truncated back-propagation through time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from lighten.errors import BuildError, InputError
from lighten.train.batches import Batch
from lighten.train.objectives.separation import as_mask
from lighten.train.objectives.token_loss import token_loss

POSITIONS = 65_536
"""Tokens after which a stream counts its positions from 0 again, without memory: angles of rotary positions lose
precision in fp32 beyond, and one segment in so many starts cold."""


@dataclass(frozen=True)
class Memory:
    """What a stream remembers in front of a segment: keys and values [layers, 2, heads, tokens, head size]."""

    segment: int
    states: torch.Tensor


class CausalStream:
    """Cross-entropy of each next token of streams that are read segment by segment.

    The keys and values of the last `memory` tokens are carried on, detached: gradients stay within a segment while
    the model sees further back (Williams and Peng 1990; Dai et al. 2019, Transformer-XL). Memory use does not grow
    with the stream. Rotary models go on counting positions over segments.

    Needs the data set `Streams` and the order `Sequential` with as many rows as there are streams.

    Args:
        streams: how many run side by side; example i is segment ``i // streams`` of stream ``i % streams``.
        segment: tokens per segment (the last one of a stream may be shorter).
        memory: tokens carried on, at most; 0 carries nothing.
        chunk: predicted tokens whose logits exist at once; None follows what memory is cheap.
    """

    def __init__(self, streams: int, segment: int, memory: int, chunk: int | None = None) -> None:
        if streams < 1 or segment < 1 or memory < 0:
            raise InputError(f"{streams} streams, segments of {segment}, memory of {memory} tokens: too few")
        self.streams, self.segment, self.memory, self.chunk = streams, segment, memory, chunk
        self.carried: dict[int, Memory] = {}
        self.before: dict[int, Memory] = {}
        self._checked = False

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        """Return the sum over the predicted tokens, and remember the segment.

        A segment may be computed again (a step repeated with smaller micro-batches): the memory in front of it is
        still there.

        Raises:
            InputError: the model cannot carry its states on.
            BuildError: segments do not follow each other.
        """
        from transformers import DynamicCache

        inner = model.module if hasattr(model, "module") else model
        if not self._checked:
            check_streamable(inner)
            self._checked = True
        if self.memory and getattr(inner, "is_gradient_checkpointing", False) and inner.training:
            raise InputError("gradient checkpointing drops the memory of streams; switch one of them off")
        streams = [int(i) % self.streams for i in batch.index]
        segments = {int(i) // self.streams for i in batch.index}
        if len(segments) > 1:
            raise BuildError(f"a batch of streams must be one segment of each, not segments {sorted(segments)}")
        number, length = segments.pop(), batch.ids.shape[1]
        into = number % max(1, POSITIONS // self.segment)
        # A ghost counts for nothing, and its stream's memory is with another process.
        past = self._past(streams, number) if into and self.memory and not batch.ghost else None
        cache = DynamicCache()
        if past is not None:
            past = past.to(batch.ids.device)
            for layer, states in enumerate(past.transpose(0, 1)):
                cache.update(states[:, 0], states[:, 1], layer)
        seen = 0 if past is None else past.shape[-2]
        positions = torch.arange(length, device=batch.ids.device) + into * self.segment
        inputs: dict[str, Any] = {"input_ids": batch.ids, "position_ids": positions[None].expand(batch.ids.shape)}
        if "since" in batch.targets:
            inputs["attention_mask"] = as_mask(_visible(batch.targets["since"], seen), model)
        if self.memory:
            inputs |= {"past_key_values": cache, "use_cache": True}
        else:
            inputs |= {"use_cache": False}
        loss = token_loss(model, inputs, batch.targets["labels"], chunk=self.chunk)
        if self.memory and not batch.ghost:
            self._remember(streams, number, cache)
        return loss

    def _past(self, streams: list[int], segment: int) -> torch.Tensor:
        """Return the memory in front of a segment [rows, layers, 2, heads, tokens, head size]."""
        found = []
        for stream in streams:
            known = [kept[stream] for kept in (self.carried, self.before) if stream in kept]
            fitting = [memory for memory in known if memory.segment == segment]
            if not fitting:
                have = ", ".join(str(memory.segment) for memory in known) or "none"
                raise BuildError(
                    f"stream {stream} goes on at segment {segment}, but its memory is in front of segment {have}: "
                    "streams need the order 'sequential' with one row per stream"
                )
            found.append(fitting[0].states)
        return torch.stack(found)

    def _remember(self, streams: list[int], segment: int, cache: Any) -> None:
        pairs = [torch.stack([layer.keys, layer.values], 1) for layer in cache.layers]
        states = torch.stack([pair[..., -self.memory :, :].detach() for pair in pairs], 1)
        for row, stream in enumerate(streams):
            old = self.carried.get(stream)
            if old is not None and old.segment == segment:
                self.before[stream] = old
            self.carried[stream] = Memory(segment + 1, states[row].clone())  # a view would keep all rows alive

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return what is carried, per stream."""
        tensors: dict[str, torch.Tensor] = {}
        for stream, memory in sorted(self.carried.items()):
            tensors[f"{stream}.segment"] = torch.tensor(memory.segment)
            tensors[f"{stream}.states"] = memory.states
        return tensors

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what was carried."""
        names = {name.split(".")[0] for name in state}
        self.before = {}
        self.carried = {
            int(name): Memory(int(state[f"{name}.segment"]), state[f"{name}.states"].clone()) for name in names
        }


def _visible(since: torch.Tensor, seen: int) -> torch.Tensor:
    """Return whether a query sees a key, of its own text and not later [rows, 1, tokens, seen + tokens]."""
    tokens = since.shape[1]
    distance = torch.arange(tokens, device=since.device)[:, None] + seen
    distance = distance - torch.arange(seen + tokens, device=since.device)[None]
    return ((distance >= 0) & (distance <= since[..., None]))[:, None]


def check_streamable(model: Any) -> None:
    """Refuse a model that cannot carry its states from segment to segment.

    Raises:
        InputError: no rotary positions, positions that depend on the length, or layers without keys and values.
    """
    name = type(model).__name__
    if not any(part.split(".")[-1] == "rotary_emb" for part, _ in model.named_modules()):
        raise InputError(
            f"{name} has no rotary positions: learned absolute ones end with the longest sequence, so a stream cannot "
            "go on; take a rotary model (Llama and its kin) or train on blocks"
        )
    config = model.config.get_text_config()
    ropes = getattr(config, "rope_parameters", None) or {}
    kinds = {ropes.get("rope_type", "default")} | {
        part.get("rope_type", "default") for part in ropes.values() if isinstance(part, dict)
    }
    if kinds & {"dynamic", "longrope"}:
        raise InputError(f"{name} stretches its positions with the length: keys carried on would not fit")
    layers = set(getattr(config, "layer_types", None) or ["full_attention"])
    if layers != {"full_attention"}:
        raise InputError(
            f"{name} has layers of kind {', '.join(sorted(layers))}: only full attention can be carried on"
        )

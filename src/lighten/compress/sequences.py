"""Sequence-level distillation (Kim and Rush 2016): the teacher writes the text that the student learns from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from lighten.errors import InputError
from lighten.models.tokens import Ids
from lighten.progress import Stage


def written_by(
    teacher: Any,
    prompts: Sequence[Ids],
    new_tokens: int,
    *,
    pad_id: int = 0,
    end_id: int | None = None,
    temperature: float = 0.0,
    seed: int = 0,
    rows: int = 16,
    stage: Stage | None = None,
    tick: Callable[[], None] = lambda: None,
) -> list[Ids]:
    """Return each prompt with what a causal teacher writes after it, up to and with the end token.

    The texts are ordinary ones: join them (`lighten.train.datasets.packed.join`), and train the student with
    `CausalLanguageModel`, or with `LanguageDistillation` on the teacher's logits of its own text.

    Args:
        teacher: a causal model of transformers; left in evaluation mode.
        prompts: token ids, one at least in each.
        new_tokens: written after each prompt, at most.
        pad_id: fills up shorter prompts on the left.
        end_id: ends a text; None takes the model's own, if it has one.
        temperature: 0 writes the likeliest next token each time, more draws from the softened probabilities.
        seed: of the draws; a text does not depend on which others are written.
        rows: prompts written at a time.
        stage: told how many texts are done.
        tick: called after each group.

    Raises:
        InputError: an empty prompt, or a number out of range.
    """
    if new_tokens < 1 or temperature < 0 or rows < 1:
        raise InputError(
            f"new_tokens {new_tokens} and rows {rows} must be at least 1, temperature {temperature} not below 0"
        )
    for number, prompt in enumerate(prompts):
        if not len(prompt):
            raise InputError("a prompt needs one token at least", f"prompt {number}")
    if end_id is None:
        known = getattr(teacher.config, "eos_token_id", None)
        end_id = known if isinstance(known, int) else None
    teacher.eval()
    device = next(teacher.parameters()).device
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    texts: dict[int, Ids] = {}
    for start in range(0, len(order), rows):
        group = order[start : start + rows]
        written = _write(teacher, prompts, group, new_tokens, pad_id, end_id, temperature, seed, device)
        texts |= dict(zip(group, written, strict=True))
        if stage is not None:
            stage.update(len(texts), total=len(prompts))
        tick()
    return [texts[i] for i in range(len(prompts))]


def _write(
    teacher: Any,
    prompts: Sequence[Ids],
    group: Sequence[int],
    new_tokens: int,
    pad_id: int,
    end_id: int | None,
    temperature: float,
    seed: int,
    device: torch.device,
) -> list[Ids]:
    width = max(len(prompts[i]) for i in group)
    ids = torch.full((len(group), width), pad_id)
    mask = torch.zeros_like(ids)
    for row, i in enumerate(group):
        ids[row, width - len(prompts[i]) :] = torch.from_numpy(np.asarray(prompts[i], np.int64))
        mask[row, width - len(prompts[i]) :] = 1
    ids, mask = ids.to(device), mask.to(device)
    draws = [torch.Generator().manual_seed((seed * 1_000_003 + i) % 2**63) for i in group]
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    fed, cache = ids, None
    written: list[torch.Tensor] = []
    alive = torch.ones(len(group), dtype=torch.bool)
    with torch.no_grad():
        for _ in range(new_tokens):
            result = teacher(
                input_ids=fed, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
            )
            cache = result.past_key_values
            token = _next(result.logits[:, -1].float().cpu(), temperature, draws)
            token[~alive] = pad_id
            written.append(torch.where(alive, token, torch.full_like(token, -1)))
            if end_id is not None:
                alive &= token != end_id
            if not alive.any():
                break
            fed = token[:, None].to(device)
            mask = torch.cat([mask, torch.ones_like(fed)], -1)
            positions = positions[:, -1:] + 1
    new = torch.stack(written, -1).numpy()
    return [
        np.concatenate([np.asarray(prompts[i], np.int32), new[row][new[row] >= 0].astype(np.int32)])
        for row, i in enumerate(group)
    ]


def _next(logits: torch.Tensor, temperature: float, draws: Sequence[torch.Generator]) -> torch.Tensor:
    """Return the next token of each row [rows]."""
    if not temperature:
        return logits.argmax(-1)
    shares = (logits / temperature).softmax(-1)
    return torch.stack([torch.multinomial(row, 1, generator=draw)[0] for row, draw in zip(shares, draws, strict=True)])

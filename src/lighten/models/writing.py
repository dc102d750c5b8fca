"""Summaries by an encoder-decoder in torch: transformers' generate with every setting said, in padded batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lighten.models.auto import first_token_global
from lighten.models.tokens import Ids


@dataclass(frozen=True)
class Writing:
    """How to write; see the recipe's section ``generate``."""

    beams: int = 4
    max_tokens: int = 128
    length_penalty: float = 1.0
    no_repeat: int = 3


def generation_config(model: Any, writing: Writing) -> Any:
    """Return transformers' configuration of it: nothing is left to what a checkpoint happens to bring along.

    The start, the end and the tokens that must come first or last are the model's own.
    """
    from transformers import GenerationConfig

    known: dict[str, Any] = {}
    for key in ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id", "forced_bos_token_id",
                "forced_eos_token_id"):  # fmt: skip
        value = getattr(model.config, key, None)
        known[key] = getattr(model.generation_config, key, None) if value is None else value
    if known["decoder_start_token_id"] is None:
        known["decoder_start_token_id"] = known["pad_token_id"]
    return GenerationConfig(
        **known,
        num_beams=writing.beams,
        max_new_tokens=writing.max_tokens,
        length_penalty=writing.length_penalty,
        no_repeat_ngram_size=writing.no_repeat,
        early_stopping=False,
        do_sample=False,
    )


def write_summaries(
    model: Any,
    sources: Sequence[Ids],
    writing: Writing,
    *,
    budget: int = 4096,
    tick: Callable[[], None] = lambda: None,
) -> list[Ids]:
    """Return the token ids of a summary per source, without start, end and padding.

    Args:
        model: any encoder-decoder of transformers; left in evaluation mode.
        sources: token ids, closing tokens included, none longer than the model reads.
        writing: how.
        budget: source tokens of a batch over all its beams, padding included; a longer source is a batch of its own.
        tick: called after every batch.
    """
    model.eval()
    config = generation_config(model, writing)
    dropped = {config.pad_token_id, config.bos_token_id, config.decoder_start_token_id}
    dropped |= set(np.atleast_1d(config.eos_token_id if config.eos_token_id is not None else []).tolist())
    found: dict[int, Ids] = {}
    order = sorted(range(len(sources)), key=lambda place: len(sources[place]))
    while order:
        # From the longest on, so that what does not fit into memory is known at once.
        longest = max(1, len(sources[order[-1]]))
        rows = [order.pop() for _ in range(min(len(order), max(1, budget // (longest * writing.beams))))]
        ids = torch.full((len(rows), longest), int(config.pad_token_id or 0))
        mask = torch.zeros_like(ids)
        for row, place in enumerate(rows):
            source = torch.from_numpy(np.asarray(sources[place], np.int64))
            ids[row, : len(source)], mask[row, : len(source)] = source, 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        if first_token_global(model):
            inputs["global_attention_mask"] = torch.zeros_like(mask)
            inputs["global_attention_mask"][:, 0] = 1
        with torch.no_grad():
            given = {name: value.to(model.device) for name, value in inputs.items()}
            written = model.generate(**given, generation_config=config)
        for place, summary in zip(rows, written.cpu().numpy(), strict=True):
            found[place] = summary[~np.isin(summary, [item for item in dropped if item is not None])].astype(np.int32)
        tick()
    return [found[place] for place in range(len(sources))]

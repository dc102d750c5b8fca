"""What a language model says about every token of a text, computed once: its likeliest tokens, kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from lighten.errors import InputError
from lighten.progress import Stage
from lighten.train.batches import Batch, plan_batches
from lighten.train.datasets.packed import PackedBlocks
from lighten.train.objectives.language_distillation import OnlineTeacher
from lighten.train.objectives.linear_divergence import Soft, Targets
from lighten.train.objectives.token_loss import IGNORED, LOGITS
from lighten.train.precision import Precision

FILE = "tokens.safetensors"
LIMIT = 2_000_000_000
"""Bytes of a cache, at most."""


def cache_tokens(
    model: Any,
    blocks: PackedBlocks,
    target: Path,
    *,
    top: int = 32,
    temperature: float = 1.0,
    weights: str = "",
    precision: Precision | None = None,
    budget: int = 4096,
    stage: Stage | None = None,
) -> dict[str, Any]:
    """Run a causal teacher over blocks of text and keep its likeliest tokens; the file appears whole or not at all.

    Args:
        model: the teacher; left in evaluation mode.
        blocks: the text, as the student will see it.
        target: existing folder for ``tokens.safetensors``: ``values`` [n, top] (logarithms of probabilities, fp16),
            ``ids`` [n, top] (int32), ``rest`` [n] (of all others together) and ``starts`` [blocks + 1].
        top: tokens kept per position.
        temperature: of the loss the cache is for.
        weights: what stands for the teacher's weights (`lighten.compress.fingerprint`).
        precision: of the products; None is fp32.
        budget: tokens per batch.
        stage: told how many tokens are done.

    Raises:
        InputError: the cache would be too large, or more tokens are to be kept than the teacher knows.
    """
    vocabulary = int(model.config.get_text_config().vocab_size)
    if not 1 <= top < vocabulary:
        raise InputError(f"the teacher knows {vocabulary} tokens: {top} of them cannot be kept as its likeliest")
    predicted = np.array([blocks.units(np.array([block])) for block in range(len(blocks.lengths))], np.int64)
    total = int(predicted.sum())
    if total * (6 * top + 4) > LIMIT:
        most = max(1, (LIMIT // max(1, total) - 4) // 6)
        raise InputError(
            f"{top} tokens for each of {total} positions take {total * (6 * top + 4) / 1e9:.1f} GB; "
            f"keep at most {most}, or run the teacher beside the student"
        )
    starts = np.concatenate([[0], np.cumsum(predicted)])
    values = torch.empty(total, top, dtype=torch.float16)
    ids, rest = torch.empty(total, top, dtype=torch.int32), torch.empty(total)
    teacher, done, device = OnlineTeacher(model), 0, next(model.parameters()).device
    chunk = max(16, LOGITS.get(device.type, LOGITS["cuda"]) // (2 * vocabulary))
    context = (precision or Precision("fp32", "asked for")).context()
    with torch.no_grad(), context:
        for index in plan_batches(blocks.lengths, budget, None):
            batch = blocks.batch(index).to(device)
            positions = (batch.targets["labels"].reshape(-1) != IGNORED).nonzero().squeeze(-1)
            if not len(positions):
                continue
            rows = torch.from_numpy(np.concatenate([np.arange(starts[i], starts[i + 1]) for i in index]))
            targets = teacher.targets(batch, positions, temperature)
            for start in range(0, len(positions), chunk):
                end = min(start + chunk, len(positions))
                logits = targets(start, end).logits
                assert logits is not None
                share = (logits.float() / temperature).log_softmax(-1)
                best, which = share.topk(top, -1)
                some = rows[start:end]
                values[some], ids[some] = best.half().cpu(), which.int().cpu()
                rest[some] = share.scatter(1, which, float("-inf")).logsumexp(-1).cpu()
            done += batch.tokens
            if stage is not None:
                stage.update(done, total=int(blocks.lengths.sum()))
    tensors = {"values": values, "ids": ids, "rest": rest, "starts": torch.from_numpy(starts)}
    note = {"temperature": temperature, "weights": weights, "text": fingerprint_of_blocks(blocks)}
    half = target / f".{FILE}.part"
    try:
        save_file(tensors, half, {"lighten": json.dumps(note, sort_keys=True)})
        os.replace(half, target / FILE)
    finally:
        half.unlink(missing_ok=True)
    return {"tokens": total, "top": top, "covered": round(float(1 - rest.double().exp().mean()), 4)}


def fingerprint_of_blocks(blocks: PackedBlocks) -> str:
    """Return what stands for the tokens of a text and for how they are cut."""
    found = hashlib.blake2b(digest_size=16)
    starts = None if blocks.starts is None else blocks.starts.tolist()
    found.update(json.dumps([len(blocks.tokens), blocks.block, starts]).encode())
    for start in range(0, len(blocks.tokens), 2**20):
        found.update(np.asarray(blocks.tokens[start : start + 2**20], np.int32).tobytes())
    return found.hexdigest()


class CachedTokens:
    """A teacher of `LanguageDistillation` that reads what `cache_tokens` wrote.

    Args:
        folder: where it was written.
        blocks: the text of the training, which must be the one that was cached.
        weights: given, what must stand for the teacher's weights.

    Raises:
        InputError: it cannot be read, or belongs to another text or teacher.
    """

    def __init__(self, folder: Path, blocks: PackedBlocks, weights: str | None = None) -> None:
        file = folder / FILE
        try:
            with safe_open(file, framework="pt") as opened:
                note = json.loads((opened.metadata() or {}).get("lighten", "{}"))
            tensors = load_file(file)
        except (OSError, SafetensorError, ValueError) as error:
            raise InputError(f"the teacher's tokens cannot be read: {error}", str(file)) from None
        if note.get("text") != fingerprint_of_blocks(blocks):
            raise InputError("the teacher read another text, or other blocks of it; cache it anew", str(file))
        if weights is not None and note.get("weights") != weights:
            raise InputError("another teacher (other weights) read the text; cache it anew", str(file))
        self.file, self.temperature = file, float(note["temperature"])
        self.values, self.ids, self.rest = tensors["values"], tensors["ids"], tensors["rest"]
        self.starts = tensors["starts"]

    def targets(self, batch: Batch, positions: torch.Tensor, temperature: float) -> Targets:
        """Return the likeliest tokens of the predicted positions of a batch, some at a time.

        Raises:
            InputError: the cache is for another temperature, or the batch was cut.
        """
        if temperature != self.temperature:
            raise InputError(f"it is for temperature {self.temperature:g}, not {temperature:g}", str(self.file))
        spans = [(int(self.starts[i]), int(self.starts[i + 1])) for i in batch.index]
        rows = torch.cat([torch.arange(start, end) for start, end in spans])
        if len(rows) != len(positions):
            raise InputError("blocks that are cut to fewer tokens have no cached teacher", str(self.file))
        device = positions.device

        def some(start: int, end: int) -> Soft:
            at = rows[start:end]
            return Soft(None, self.values[at].to(device), self.ids[at].long().to(device), self.rest[at].to(device))

        return some

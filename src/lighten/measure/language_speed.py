"""Tokens per second of language models, reading a prompt and writing on, side by side in one process.

Every round lets each model read the same prompt and write the same number of tokens, in an order drawn anew; ratios
are formed within a round, so that a slower clock or another process hits all alike.
"""

from __future__ import annotations

import gc
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError
from lighten.measure.statistics import Interval, bootstrap_interval
from lighten.runtime.generate import Generator
from lighten.runtime.tokens import Ids

Floats = npt.NDArray[np.float64]


class TokenModel(ABC):
    """What is timed: a model that reads a prompt and then token by token; `vocabulary` counts its token ids."""

    vocabulary: int

    @abstractmethod
    def prefill(self, ids: Ids, room: int) -> tuple[Any, int]:
        """Read a prompt [tokens]; returns a cache with room for `room` tokens and the most probable next token."""

    @abstractmethod
    def decode(self, cache: Any, token: int) -> tuple[Any, int]:
        """Read one token more; returns the cache and the most probable next token."""


class FolderModel(TokenModel):
    """An exported model in ONNX Runtime."""

    def __init__(self, generator: Generator) -> None:
        self.session = generator.session
        self.vocabulary = generator.session.vocabulary

    def prefill(self, ids: Ids, room: int) -> tuple[Any, int]:
        """Read a prompt into a new cache."""
        cache = self.session.cache(room)
        return cache, int(self.session.step(cache, ids)[-1].argmax())

    def decode(self, cache: Any, token: int) -> tuple[Any, int]:
        """Read one token more."""
        return cache, int(self.session.step(cache, np.array([token], np.int64))[-1].argmax())


@dataclass(frozen=True)
class LanguageSpeed:
    """Seconds of every round, for the whole prompt and for all tokens written after the first one.

    Attributes:
        prefill_seconds: [rounds].
        decode_seconds: [rounds].
        prompt: tokens of the prompt.
        written: tokens timed in `decode_seconds`.
    """

    prefill_seconds: Floats
    decode_seconds: Floats
    prompt: int
    written: int

    def prefill_per_second(self, seed: int = 0) -> Interval:
        """Return tokens of the prompt per second: median over the rounds with its interval."""
        return bootstrap_interval(self.prompt / self.prefill_seconds, np.median, seed)

    def decode_per_second(self, seed: int = 0) -> Interval:
        """Return tokens written per second: median over the rounds with its interval."""
        return bootstrap_interval(self.written / self.decode_seconds, np.median, seed)


def time_language_models(
    models: Mapping[str, TokenModel],
    *,
    prompt: int = 128,
    written: int = 64,
    rounds: int = 10,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, LanguageSpeed]:
    """Time models side by side.

    Args:
        models: load exported ones with spinning off: live sessions otherwise spin on each other's cores.
        prompt: tokens to read at once, drawn from the ids that all models know.
        written: tokens to write one by one, the most probable ones; the first comes with the prompt, and is not timed.
        rounds: that count; one more comes before them.
        seed: of the prompt and the order.
        progress: called with the share that is done.

    Returns:
        By name.

    Raises:
        InputError: less than 2 rounds or tokens.
    """
    if min(rounds, prompt, written) < 2:
        raise InputError(f"at least 2 rounds, prompt tokens and written tokens; got {rounds}, {prompt}, {written}")
    random = np.random.default_rng(seed)
    known = min((model.vocabulary for model in models.values()), default=1)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    names, collecting = list(models), gc.isenabled()
    gc.disable()
    try:
        for number in range(rounds + 1):
            ids = random.integers(0, known, prompt, dtype=np.int64)
            for index in random.permutation(len(names)):
                pair = _one_round(models[names[index]], ids, written)
                if number:
                    seconds[names[index]].append(pair)
            gc.collect()  # between the timings, not in them
            if progress is not None:
                progress(number / rounds)
    finally:
        if collecting:
            gc.enable()
    found = {name: np.array(pairs, np.float64) for name, pairs in seconds.items()}
    return {name: LanguageSpeed(both[:, 0], both[:, 1], prompt, written) for name, both in found.items()}


def speed_ratio(model: LanguageSpeed, peer: LanguageSpeed, part: str = "decode", seed: int = 0) -> Interval:
    """Return how many times as fast as a peer a model was in the same rounds: median with its interval.

    Args:
        model: timed together with `peer`.
        peer: see `model`.
        part: ``decode`` or ``prefill``.
        seed: of the bootstrap.
    """
    name = f"{part}_seconds"
    return bootstrap_interval(getattr(peer, name) / getattr(model, name), np.median, seed)


def _one_round(model: TokenModel, ids: Ids, written: int) -> tuple[float, float]:
    clock = time.perf_counter
    start = clock()
    cache, token = model.prefill(ids, len(ids) + written)
    middle = clock()
    for _ in range(written):
        cache, token = model.decode(cache, token)
    return middle - start, clock() - middle

"""Beam search in numpy: the same summaries as transformers' generate, greedy and with beams.

Source of the rules: transformers 5, `GenerationMixin._beam_search` with ``early_stopping=False`` (Wu et al. 2016 for
the division by the length): a beam that ends keeps its place among the finished ones if its score is good enough,
and the search ends when the best that is still open could not beat the worst of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Step = Callable[[Ints, Ints], Floats]
"""Takes the last token of each beam, and which beam of the step before it goes on from [beams]; returns the logits of
what follows [beams, vocabulary]."""
_NEVER = np.float32(-1e9)


@dataclass(frozen=True)
class Search:
    """How to write.

    Attributes:
        start: the token the decoder starts with.
        ends: tokens that end a summary.
        beams: summaries followed side by side; 1 takes the likeliest token each time.
        max_tokens: longest summary.
        length_penalty: log-probabilities are divided by the length to this power.
        no_repeat: no run of so many tokens twice; 0 allows all.
        first: the token every summary begins with, None for any.
        last: the token a summary that has become too long ends with, None for any.
    """

    start: int
    ends: tuple[int, ...]
    beams: int = 4
    max_tokens: int = 128
    length_penalty: float = 1.0
    no_repeat: int = 3
    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("start", 0), ("beams", 1), ("max_tokens", 1), ("no_repeat", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name} must be a whole number of at least {least}, not {value!r}")
        if isinstance(self.length_penalty, bool) or not np.isfinite(self.length_penalty):
            raise InputError(f"length_penalty must be a number, not {self.length_penalty!r}")

    def write(self, step: Step) -> list[int]:
        """Return the best summary's tokens, the start left out and the end included where it came."""
        return self._greedy(step) if self.beams == 1 else self._beams(step)

    def _greedy(self, step: Step) -> list[int]:
        tokens = [self.start]
        while len(tokens) <= self.max_tokens:
            logits = step(np.array(tokens[-1:], np.int64), np.zeros(1, np.int64)).astype(np.float32)
            tokens.append(int(self._allowed(logits, [tokens])[0].argmax()))
            if tokens[-1] in self.ends:
                break
        return tokens[1:]

    def _beams(self, step: Step) -> list[int]:
        beams, penalty = self.beams, self.length_penalty
        running: list[list[int]] = [[self.start]] * beams
        scores = np.full(beams, _NEVER)  # all beams are the same at first: one of them may go on
        scores[0] = 0
        order = np.zeros(beams, np.int64)
        finished: list[list[int]] = [[] for _ in range(beams)]
        finished_scores, done = np.full(beams, _NEVER), np.zeros(beams, bool)
        for length in range(1, self.max_tokens + 1):
            logits = step(np.array([row[-1] for row in running], np.int64), order).astype(np.float32)
            total = self._allowed(_log_softmax(logits), running) + scores[:, None]
            places = _largest(total.ravel(), max(2, 1 + len(self.ends)) * beams)
            found = total.ravel()[places]
            origin, token = np.divmod(places, logits.shape[1])
            grown = [[*running[beam], int(item)] for beam, item in zip(origin.tolist(), token.tolist(), strict=True)]
            stops = np.isin(token, self.ends) | (length == self.max_tokens)
            closing = np.where(stops & (np.arange(len(places)) < beams), 0, _NEVER)
            ended = (found / np.float32(length**penalty) + closing).astype(np.float32)
            merged, rows = np.concatenate([finished_scores, ended]), finished + grown
            kept = _largest(merged, beams)
            finished, finished_scores = [rows[place] for place in kept], merged[kept]
            done = np.concatenate([done, closing == 0])[kept]
            open_scores = (found + np.where(stops, _NEVER, 0)).astype(np.float32)
            next_ = _largest(open_scores, beams)
            running, scores, order = [grown[place] for place in next_], open_scores[next_], origin[next_]
            worst = np.where(done, finished_scores.min(), _NEVER)
            if stops.all() or not np.any(scores[0] / np.float32(length**penalty) > worst):
                break
        return finished[0][1:]

    def _allowed(self, scores: Floats, rows: Sequence[Sequence[int]]) -> Floats:
        """Return the scores with what must not come at minus infinity."""
        scores = scores.copy()
        for row, tokens in zip(scores, rows, strict=True):
            row[_repeating(tokens, self.no_repeat)] = -np.inf
        forced = self.first if len(rows[0]) == 1 else None
        if self.last is not None and len(rows[0]) == self.max_tokens:
            forced = self.last
        if forced is not None:
            scores[:] = -np.inf
            scores[:, forced] = 0
        return scores


def _repeating(tokens: Sequence[int], size: int) -> list[int]:
    """Return the tokens that would make a run of `size` tokens come a second time."""
    if not size or len(tokens) < size:
        return []
    tail = list(tokens[len(tokens) + 1 - size :])
    return [tokens[at + size - 1] for at in range(len(tokens) - size + 1) if list(tokens[at : at + size - 1]) == tail]


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))


def _largest(values: Floats, count: int) -> npt.NDArray[Any]:
    """Return the places of the largest values, the largest first, of equals the first."""
    count = min(count, len(values))
    some = np.argpartition(-values, count - 1)[:count] if count < len(values) else np.arange(len(values))
    some.sort()
    return some[np.argsort(-values[some], kind="stable")]

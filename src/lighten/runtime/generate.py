"""A language model loaded from a model folder: continues texts, answers messages; numpy, ONNX Runtime, tokenizers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers.decoders import DecodeStream

from lighten.errors import InputError
from lighten.runtime.chat import Message, written
from lighten.runtime.decoder import DecoderSession
from lighten.runtime.folder import LANGUAGE, TOKENIZER, ModelFolder, read_folder
from lighten.runtime.sampling import Sampling
from lighten.runtime.session import check_threads
from lighten.runtime.tokens import Ids, open_tokenizer


@dataclass(frozen=True)
class Generated:
    """A continuation.

    Attributes:
        text: without the prompt.
        tokens: how many were generated, one that ends the text included.
        prompt_tokens: how many the prompt has.
        stopped: ``end`` (the model ended the text), ``stop`` (a stop text came), ``length``.
    """

    text: str
    tokens: int
    prompt_tokens: int
    stopped: str


@dataclass
class _Progress:
    tokens: int = 0
    prompt_tokens: int = 0
    stopped: str = "length"


def load_generator(path: str | Path, *, threads: int | None = None, spinning: bool | None = None) -> Generator:
    """Load the folder of a language model.

    Args:
        path: the folder with ``lighten.json``.
        threads: that generating may use; None for what the folder says.
        spinning: whether idle threads spin; None for what the folder says. See `session.open_session`.

    Raises:
        InputError: the folder is missing, incomplete, of another format or of another task.
    """
    return Generator(read_folder(path), threads=threads, spinning=spinning)


class Generator:
    """Continues texts; a generator may be used by several threads at once, each text has a cache of its own."""

    def __init__(self, folder: ModelFolder, *, threads: int | None = None, spinning: bool | None = None) -> None:
        if folder.task != LANGUAGE:
            raise InputError(f"this model is for {folder.task}, not for {LANGUAGE}", str(folder.path))
        check_threads(threads)
        self.folder = folder
        self.threads = threads if threads is not None else folder.threads
        self.spinning = spinning if spinning is not None else folder.spinning
        self.session = DecoderSession(folder, self.threads, self.spinning)
        self._tokenizer = open_tokenizer(folder.path / TOKENIZER)

    def generate(
        self,
        prompt: str | Sequence[Message],
        max_new_tokens: int = 128,
        *,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        seed: int = 0,
        stop: str | Sequence[str] = (),
    ) -> Generated:
        """Continue a text, or answer messages.

        Args:
            prompt: a text, or messages with ``role`` and ``content`` for a model with a chat template.
            max_new_tokens: generate so many at most, and no more than the model reads.
            temperature: 0 for the most probable token each time; see `Sampling`.
            top_k: see `Sampling`.
            top_p: see `Sampling`.
            seed: of the draws; the same seed gives the same text.
            stop: texts in front of which to stop.

        Raises:
            InputError: an empty or too long prompt, or a setting out of its range.
        """
        seen = _Progress()
        sampling = Sampling(temperature, top_k, top_p)
        text = "".join(self._pieces(prompt, max_new_tokens, sampling, seed, stop, seen))
        return Generated(text, seen.tokens, seen.prompt_tokens, seen.stopped)

    def stream(
        self,
        prompt: str | Sequence[Message],
        max_new_tokens: int = 128,
        *,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        seed: int = 0,
        stop: str | Sequence[str] = (),
    ) -> Iterator[str]:
        """Yield the text of `generate` in pieces as they come; whole characters only."""
        sampling = Sampling(temperature, top_k, top_p)
        return self._pieces(prompt, max_new_tokens, sampling, seed, stop, _Progress())

    def encode(self, prompt: str | Sequence[Message]) -> Ids:
        """Return the token ids of a text or of messages, int64 [tokens].

        Raises:
            InputError: not a text, no valid Unicode, no token at all, or messages without a template.
        """
        whole = isinstance(prompt, str)
        text = prompt if isinstance(prompt, str) else written(self.folder.path, prompt)
        try:
            # A template writes its special tokens itself.
            ids = np.array(self._tokenizer.encode(text, add_special_tokens=whole).ids, np.int64)
        except (UnicodeError, TypeError) as error:
            raise InputError(f"the prompt is no valid text: {error}") from None
        if not len(ids):
            raise InputError("the prompt is empty; give at least one token to go on from")
        return ids

    def log_probabilities(self, ids: Ids) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the logarithm of the probability of every token of a text but the first, [tokens - 1]."""
        logits = self.session.logits(ids[:-1]).astype(np.float64)
        highest = logits.max(1)
        norm = np.log(np.exp(logits - highest[:, None]).sum(1)) + highest
        return np.asarray(logits[np.arange(len(ids) - 1), ids[1:]] - norm)

    def verify(self) -> None:
        """Compare every file with its recorded checksum; InputError where one differs."""
        self.folder.verify()

    def self_test(self) -> list[str]:
        """Predict the next token of the texts kept in the folder; returns one sentence per difference.

        Rounding differs from CPU to CPU: the logarithm of the probability may differ by a twentieth, and of two
        tokens that are about as probable either may be first.
        """
        differences = []
        for number, case in enumerate(self.folder.self_test):
            ids = self.encode(case["text"])
            found = float(self.log_probabilities(np.append(ids, case["token"]))[-1])
            if abs(found - case["log_probability"]) > 0.05 * max(1.0, abs(case["log_probability"])):
                expected = case["log_probability"]
                differences.append(f"self-test {number}: log-probability {expected:.4f} expected, {found:.4f} found")
        return differences

    def _pieces(
        self,
        prompt: str | Sequence[Message],
        limit: int,
        sampling: Sampling,
        seed: int,
        stop: str | Sequence[str],
        seen: _Progress,
    ) -> Iterator[str]:
        ends = [stop] if isinstance(stop, str) else list(stop)
        if limit < 1:
            raise InputError(f"max_new_tokens must be at least 1 but is {limit}")
        if not all(ends):
            raise InputError("a stop text is empty")
        ids = self.encode(prompt)
        seen.prompt_tokens = len(ids)
        if len(ids) >= self.session.longest:
            raise InputError(f"the prompt has {len(ids)} tokens; this model reads {self.session.longest} at most")
        return self._run(ids, min(limit, self.session.longest - len(ids)), sampling, seed, ends, seen)

    def _run(
        self, ids: Ids, limit: int, sampling: Sampling, seed: int, stop: list[str], seen: _Progress
    ) -> Iterator[str]:
        random, stream = np.random.default_rng(seed), DecodeStream(skip_special_tokens=True)
        cache = self.session.cache(len(ids) + limit)
        held = ""
        for _ in range(limit):
            token = sampling.choose(self.session.step(cache, ids)[-1], random)
            seen.tokens += 1
            if token in self.folder.end_token_ids:
                seen.stopped = "end"
                break
            held += stream.step(self._tokenizer, token) or ""
            found = [place for place in (held.find(text) for text in stop) if place >= 0]
            if found:
                seen.stopped, held = "stop", held[: min(found)]
                break
            sure = len(held) - _overlap(held, stop)
            if sure:
                yield held[:sure]
                held = held[sure:]
            ids = np.array([token], np.int64)
        if held:
            yield held


def _overlap(text: str, stop: list[str]) -> int:
    """Return the length of the longest end of a text that may yet become a stop text."""
    longest = max((len(word) for word in stop), default=0)
    for length in range(min(longest - 1, len(text)), 0, -1):
        if any(word.startswith(text[-length:]) for word in stop):
            return length
    return 0

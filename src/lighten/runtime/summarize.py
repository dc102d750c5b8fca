"""A summariser loaded from a model folder: greedy or beam search; numpy, ONNX Runtime, tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.runtime.beams import Floats, Ints, Search
from lighten.runtime.chunk_and_merge import summarise_long
from lighten.runtime.extract import Extractor
from lighten.runtime.folder import SUMMARIES, TOKENIZER, ModelFolder, read_folder
from lighten.runtime.long_texts import read_long
from lighten.runtime.session import check_threads, open_session
from lighten.runtime.tokens import Ids, Tokenizer, open_tokenizer


def load_summarizer(
    path: str | Path | ModelFolder, *, threads: int | None = None, spinning: bool | None = None
) -> Summarizer | Extractor:
    """Load the folder of a summariser: one that writes, or one that chooses sentences.

    Args:
        path: the folder with ``lighten.json``, or what `read_folder` found there.
        threads: that summarising may use; None for what the folder says.
        spinning: whether idle threads spin; None for what the folder says. See `session.open_session`.

    Raises:
        InputError: the folder is missing, incomplete, of another format or of another task.
    """
    folder = path if isinstance(path, ModelFolder) else read_folder(path)
    kind = Extractor if folder.extraction else Summarizer
    return kind(folder, threads=threads, spinning=spinning)


class Summarizer:
    """Writes summaries, one text after the other; may be used by several threads at once."""

    def __init__(self, folder: ModelFolder, *, threads: int | None = None, spinning: bool | None = None) -> None:
        if folder.task != SUMMARIES or folder.encoder is None:
            does = (
                "chooses sentences and writes none"
                if folder.extraction
                else f"is for {folder.task}, not for {SUMMARIES}"
            )
            raise InputError(f"this model {does}", str(folder.path))
        check_threads(threads)
        self.folder = folder
        self.threads = threads if threads is not None else folder.threads
        spins = spinning if spinning is not None else folder.spinning
        self._reader = open_session(folder.encoder, self.threads, spins)
        self._writer = open_session(folder.graph, self.threads, spins)
        said = folder.generation
        self.search = Search(
            start=said["start_token_id"],
            ends=folder.end_token_ids,
            first=said.get("first_token_id"),
            last=said.get("last_token_id"),
            **{key: said[key] for key in ("beams", "max_tokens", "length_penalty", "no_repeat") if key in said},
        )
        self._longest = self.search.max_tokens
        self._special = {self.search.start, *self.search.ends, *said.get("special_token_ids", ())}
        self.chunked, self.again = bool(said.get("chunked")), bool(said.get("again", True))
        self._tokenizer = Tokenizer(folder.path / TOKENIZER, folder.max_tokens, folder.lowercase, read_long(folder))
        self._whole = open_tokenizer(folder.path / TOKENIZER)
        self._past = {
            item.name: (item.shape[1], item.shape[3])
            for item in self._writer.get_inputs()
            if item.name.startswith("past_key_values.")
        }
        self._cross = [item.name for item in self._reader.get_outputs()]

    def summarize(
        self,
        texts: str | Sequence[str],
        *,
        beams: int | None = None,
        max_tokens: int | None = None,
        length_penalty: float | None = None,
        no_repeat: int | None = None,
    ) -> list[str]:
        """Return a summary per text.

        Args:
            texts: of any length; what becomes of those over the model's limit is said in its folder.
            beams: see `Search`; None for what the folder says, as below.
            max_tokens: of a summary; no more than the folder says.
            length_penalty: see `Search`.
            no_repeat: see `Search`.

        Raises:
            InputError: no valid Unicode, or a setting out of its range.
        """
        given: dict[str, Any] = {"beams": beams, "length_penalty": length_penalty, "no_repeat": no_repeat}
        search = replace(self.search, **{key: value for key, value in given.items() if value is not None})
        if max_tokens is not None:
            if max_tokens > self._longest:
                raise InputError(f"max_tokens is {max_tokens}; this model writes {self._longest} tokens at most")
            search = replace(search, max_tokens=max_tokens)
        texts = [texts] if isinstance(texts, str) else list(texts)

        def write(parts: list[str]) -> list[str]:
            return [self._decode(self.write(tokens.ids, search)) for tokens in self._tokenizer(parts)]

        if not self.chunked:
            return write(texts)
        return summarise_long(texts, write, self._lengths, self.folder.max_tokens, self.again)

    def write(self, ids: Ids, search: Search | None = None) -> list[int]:
        """Return the tokens of the summary of one text's tokens, special ones included."""
        known = self.read(ids)
        cache: dict[str, Any] = {}

        def step(tokens: Ints, order: Ints) -> Floats:
            return self.step(known, cache, tokens, order)

        return (search or self.search).write(step)

    def read(self, ids: Ids) -> dict[str, Any]:
        """Return what the decoder attends to: keys and values of one text's tokens [tokens], and its mask."""
        rows = np.ascontiguousarray(ids, np.int64).reshape(1, -1)
        mask = np.ones_like(rows)
        found = self._reader.run(self._cross, {"input_ids": rows, "attention_mask": mask})
        return {"attention_mask": mask, **dict(zip(self._cross, found, strict=True))}

    def step(self, known: dict[str, Any], cache: dict[str, Any], tokens: Ints, order: Ints) -> Floats:
        """Read the next token of each beam.

        Args:
            known: what `read` returned.
            cache: of the beams so far, empty at first; it takes the new tokens in.
            tokens: [beams].
            order: which beam of the cache each goes on from [beams].

        Returns:
            The logits of what follows [beams, vocabulary].
        """
        for name, (heads, size) in self._past.items():
            there = cache.get(name)
            cache[name] = np.zeros((len(tokens), heads, 0, size), np.float32) if there is None else there[order]
        feeds = {"input_ids": tokens.reshape(-1, 1), **known, **cache}
        present = [name.replace("past_key_values.", "present.") for name in self._past]
        logits, *new = self._writer.run(["logits", *present], feeds)
        cache.update(zip(self._past, new, strict=True))
        return np.asarray(logits)

    def verify(self) -> None:
        """Compare every file with its recorded checksum; InputError where one differs."""
        self.folder.verify()

    def self_test(self) -> list[str]:
        """Predict the first tokens of the summaries kept in the folder; returns one sentence per difference."""
        differences = []
        for number, case in enumerate(self.folder.self_test):
            found = self.first_token(case["text"])[1].get(case["token"], -np.inf)
            if abs(found - case["log_probability"]) > 0.05 * max(1.0, abs(case["log_probability"])):
                expected = case["log_probability"]
                differences.append(f"self-test {number}: log-probability {expected:.4f} expected, {found:.4f} found")
        return differences

    def first_token(self, text: str) -> tuple[int, dict[int, float]]:
        """Return the likeliest first token of a text's summary, and the log-probability of every token."""
        known = self.read(self._tokenizer([text])[0].ids)
        logits = self.step(known, {}, np.array([self.search.start]), np.zeros(1, np.int64))[0].astype(np.float64)
        scores = logits - logits.max()
        scores -= np.log(np.exp(scores).sum())
        return int(scores.argmax()), {place: float(score) for place, score in enumerate(scores)}

    def _decode(self, tokens: list[int]) -> str:
        return str(self._whole.decode([token for token in tokens if token not in self._special])).strip()

    def _lengths(self, texts: list[str]) -> list[int]:
        return [len(item.ids) for item in self._whole.encode_batch_fast(texts)]

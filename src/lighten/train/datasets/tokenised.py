"""Tokenises texts into a cache on disk: once, whole or not at all, a few at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from lighten.errors import BuildError, InputError
from lighten.pipeline.files import checksum, new_folder, write_json
from lighten.train.datasets.token_store import FORMAT, TokenStore

CHUNK = 1024
"""Texts tokenised at a time: what writing holds in memory."""
SHARD_TOKENS = 2**26
"""Tokens per file."""


def tokenised(
    cache: Path,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    max_tokens: int | None = None,
    end_id: int | None = None,
    special: bool = True,
    shard_tokens: int = SHARD_TOKENS,
) -> TokenStore:
    """Return the tokenised texts from the cache, writing them there first where they are not (or not whole).

    The folder's name is a hash of tokenizer, texts and options. Writing holds `CHUNK` texts in memory at a time,
    and becomes visible when it is complete.

    Args:
        cache: folder of stores.
        tokenizer: fast tokenizer; its truncation is set anew.
        texts: read twice.
        max_tokens: tokens a text is cut to, the closing one kept; None cuts nothing.
        end_id: put behind each text (for texts that are joined).
        special: add the tokenizer's special tokens.
        shard_tokens: tokens per file, at least.

    Raises:
        BuildError: the cache cannot be written.
    """
    tokenizer.no_padding()
    if max_tokens is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_tokens)
    vocabulary = tokenizer.get_vocab_size()
    if end_id is not None and not 0 <= end_id < vocabulary:
        raise InputError(f"the end token {end_id} is not in the vocabulary of {vocabulary} pieces")
    options = {"format": FORMAT, "end_id": end_id, "special": special, "shard_tokens": shard_tokens}
    folder = cache / _key(tokenizer, texts, options)
    if folder.exists():
        try:
            return TokenStore(folder)
        except ValueError:  # torn by hand or by another version: made again
            pass
    try:
        with new_folder(folder) as target:
            kind = np.dtype("<u2" if vocabulary <= 2**16 else "<i4")
            writer = _Writer(target, kind, shard_tokens)
            closing = [] if end_id is None else [end_id]
            for start in range(0, len(texts), CHUNK):
                some = list(texts[start : start + CHUNK])
                for item in tokenizer.encode_batch_fast(some, add_special_tokens=special):
                    writer.add([*item.ids, *closing])
            write_json(target / "index.json", {**options, "dtype": kind.str, "shards": writer.close()})
    except OSError as error:
        raise BuildError(f"the tokenised texts cannot be kept in {cache}: {error}") from error
    return TokenStore(folder)


def _key(tokenizer: Tokenizer, texts: Sequence[str], options: dict[str, Any]) -> str:
    digest = hashlib.sha256(tokenizer.to_str().encode())  # truncation is part of it
    digest.update(json.dumps(options, sort_keys=True).encode())
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()[:32]


class _Writer:
    """Appends texts to shards, a new one begun when the last is full."""

    def __init__(self, folder: Path, kind: np.dtype[Any], shard_tokens: int) -> None:
        self.folder, self.kind, self.shard_tokens = folder, kind, shard_tokens
        self.shards: list[dict[str, Any]] = []
        self._open()

    def _open(self) -> None:
        name = f"shard-{len(self.shards):05}"
        self.names = {"tokens": f"{name}.tokens", "lengths": f"{name}.lengths"}
        self.files = {what: (self.folder / file).open("wb") for what, file in self.names.items()}
        self.texts = self.tokens = 0

    def add(self, ids: list[int]) -> None:
        if self.tokens >= self.shard_tokens:
            self._end()
            self._open()
        self.files["tokens"].write(np.array(ids, self.kind).tobytes())
        self.files["lengths"].write(np.array([len(ids)], "<i4").tobytes())
        self.texts, self.tokens = self.texts + 1, self.tokens + len(ids)

    def _end(self) -> None:
        entry: dict[str, Any] = {"texts": self.texts, "tokens": self.tokens}
        for what, file in self.files.items():
            file.close()
            entry |= {f"{what}_file": self.names[what], f"{what}_sha256": checksum(self.folder / self.names[what])}
        self.shards.append(entry)

    def close(self) -> list[dict[str, Any]]:
        self._end()
        return self.shards

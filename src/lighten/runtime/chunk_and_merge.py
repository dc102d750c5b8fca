"""Summaries of texts longer than a model reads: pieces are summarised, the summaries joined and summarised again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lighten.runtime.sentences import sentences_of

Write = Callable[[list[str]], list[str]]
Count = Callable[[list[str]], list[int]]

ROUNDS = 4
"""Times that joined summaries are cut into pieces again while they are too long; then the model cuts them."""


def summarise_long(texts: Sequence[str], write: Write, count: Count, limit: int, again: bool = True) -> list[str]:
    """Return a summary per text.

    Args:
        texts: of any length.
        write: summarises texts of up to `limit` tokens.
        count: returns how many tokens texts have, special ones included.
        limit: tokens of a piece.
        again: summarise the joined summaries of a text's pieces; else they are the summary, a line each.
    """
    pieces = [pieces_of(text, count, limit) for text in texts]
    found = _written(pieces, write)
    merged = ["\n".join(parts) for parts in found]
    if not again:
        return merged
    open_ = [place for place, parts in enumerate(pieces) if len(parts) > 1]
    for round_ in range(ROUNDS):
        if not open_:
            break
        last = round_ == ROUNDS - 1
        parts = [[merged[place]] if last else pieces_of(merged[place], count, limit) for place in open_]
        for place, written in zip(open_, _written(parts, write), strict=True):
            merged[place] = "\n".join(written)
        open_ = [place for place, cut in zip(open_, parts, strict=True) if len(cut) > 1]
    return merged


def pieces_of(text: str, count: Count, limit: int) -> list[str]:
    """Cut a text between sentences into as few pieces of at most `limit` tokens as go in order; one at least.

    A sentence that is longer by itself is cut between words; a word that is longer is left to the model to cut.
    """
    if count([text])[0] <= limit:
        return [text]
    parts = sentences_of(text)
    sized = zip(parts, count(parts), strict=True)
    fitting = [piece for part, length in sized for piece in _halved(part, length, count, limit)]
    pieces: list[str] = []
    held: list[str] = []
    used = 0
    # Special tokens count with every sentence here: pieces end up a little under the limit, never over it.
    for part, length in fitting:
        if held and used + length > limit:
            pieces.append("\n".join(held))
            held, used = [], 0
        held.append(part)
        used += length
    return [*pieces, "\n".join(held)] if held else pieces or [text]


def _halved(part: str, length: int, count: Count, limit: int) -> list[tuple[str, int]]:
    words = part.split()
    if length <= limit or len(words) < 2:
        return [(part, length)]
    halves = [" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])]
    return [
        piece for half, size in zip(halves, count(halves), strict=True) for piece in _halved(half, size, count, limit)
    ]


def _written(pieces: Sequence[Sequence[str]], write: Write) -> list[list[str]]:
    """Summarise the pieces of all texts in one call: short ones fill batches."""
    flat = iter(write([piece for parts in pieces for piece in parts]))
    return [[next(flat) for _ in parts] for parts in pieces]

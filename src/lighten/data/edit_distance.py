"""Words at edit distance 1, found for many words at once by symmetric deletion.

SymSpell (Garbe 2012) indexes what is left of every dictionary word when one letter is deleted. Here the words that
are looked up are indexed instead: they are few, nothing is kept between calls and no index has to be loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping


def nearest_words(
    words: Iterable[str], frequencies: Mapping[str, int], preferred: Callable[[str, str], bool] | None = None
) -> dict[str, str]:
    """Find for each word the most frequent dictionary word one edit away.

    Args:
        words: not in the dictionary.
        frequencies: the dictionary: how often each word is used; of equally frequent words the first in the
            alphabet is taken.
        preferred: whether a dictionary word one edit away comes before all others, however rare it is.

    Returns:
        The word to put in place of each word; words without a neighbour are left out. An edit is a letter that is
        inserted, deleted, replaced, or swapped with its neighbour.
    """
    rest: dict[str, list[str]] = {}
    for word in words:
        for part in deletions(word):
            rest.setdefault(part, []).append(word)
    lengths = {len(part) for part in rest}
    best: dict[str, tuple[bool, int, str]] = {}
    for known, count in frequencies.items():
        if len(known) not in lengths and len(known) - 1 not in lengths:
            continue
        for part in deletions(known) & rest.keys():
            for word in rest[part]:
                rank = (preferred is None or not preferred(word, known), -count, known)
                if (word not in best or rank < best[word]) and one_edit(word, known):
                    best[word] = rank
    return {word: known for word, (_, _, known) in best.items()}


def deletions(word: str) -> set[str]:
    """Return the word and what is left of it when one letter is deleted."""
    return {word, *(word[:index] + word[index + 1 :] for index in range(len(word)))}


def one_edit(first: str, second: str) -> bool:
    """Return whether one edit makes the first word the second (restricted Damerau-Levenshtein distance 1)."""
    start = 0
    while start < len(first) and start < len(second) and first[start] == second[start]:
        start += 1
    end = 0
    shorter = min(len(first), len(second)) - start
    while end < shorter and first[-1 - end] == second[-1 - end]:
        end += 1
    a, b = first[start : len(first) - end], second[start : len(second) - end]
    return len(a) + len(b) == 1 or (len(a) == len(b) == 1) or (len(a) == 2 and a == b[::-1])

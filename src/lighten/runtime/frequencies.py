"""In how many of the training texts each word occurs: what a word is worth, kept beside the model."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lighten.errors import InputError
from lighten.runtime.sentences import words_of

FILE = "document_frequencies.json"
MOST_WORDS = 20_000
"""Words kept, the most frequent first; at about 9 bytes each."""
LEAST_TEXTS = 2
"""A word of a single text is as good as unknown."""


@dataclass(frozen=True)
class Frequencies:
    """Document frequencies.

    Attributes:
        texts: how many texts were counted.
        words: in how many of them each word occurs; a word that is missing occurs in fewer than any that is there.
    """

    texts: int
    words: Mapping[str, int] = field(default_factory=dict)

    def weight(self, word: str) -> float:
        """Return a word's inverse document frequency: ln((1 + texts) / (1 + texts with it))."""
        return math.log((1 + self.texts) / (1 + self.words.get(word, 1)))

    def to_dict(self) -> dict[str, Any]:
        """Return what the file holds."""
        return {"texts": self.texts, "words": dict(self.words)}


def count_words(texts: Iterable[str]) -> Frequencies:
    """Count in how many texts each word occurs."""
    counts: Counter[str] = Counter()
    number = 0
    for text in texts:
        counts.update(set(words_of(text)))
        number += 1
    # By count and then by name: the same whatever order a set has.
    kept = sorted(((-count, word) for word, count in counts.items() if count >= LEAST_TEXTS))[:MOST_WORDS]
    return Frequencies(number, {word: -count for count, word in kept})


def read_frequencies(file: Path) -> Frequencies:
    """Read what `Frequencies.to_dict` was written to.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        texts, words = content["texts"], content["words"]
        numbers = [texts, *words.values()]
        if any(not isinstance(number, int) or isinstance(number, bool) or number < 0 for number in numbers):
            raise ValueError("counts are whole numbers from 0")
        if max(words.values(), default=0) > texts:
            raise ValueError(f"a word cannot occur in more than the {texts} texts")
    except FileNotFoundError:
        raise InputError("this file of the model is missing", str(file)) from None
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}", str(file)) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the document frequencies are damaged: {error}", str(file)) from None
    return Frequencies(texts, words)

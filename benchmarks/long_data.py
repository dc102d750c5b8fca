"""Documents whose label is said in one sentence at any place.

``python benchmarks/long_data.py FOLDER --tokens 4096``

A model that reads the first 512 tokens of 4,096 finds one key sentence in eight, and can know no more than 56% of two
labels. With decoys, rare words alone do not lead to the key. In documents of the kind ``pair`` two sentences far apart
say the label together: neither of them says anything alone.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

# Words that are one piece each in BERT's vocabulary, so that words and full stops count tokens.
_NOUNS = (
    "river house train garden table window letter market road school doctor winter story paper village bridge horse "
    "city island morning king army church film song book game water stone field team office street"
)
_VERBS = "saw found left moved took held met built passed sold kept drew led sent raised crossed closed opened"
_ADJECTIVES = "old small young quiet dark long green early late open white heavy simple common near empty"
_PLACES = "in the north,near the river,by the road,after the war,in the summer,on the island,at night,for a year"
NOUNS, VERBS, ADJECTIVES, PLACES = _NOUNS.split(), _VERBS.split(), _ADJECTIVES.split(), _PLACES.split(",")
SAID = {
    "accepted": ("accepted", "approved", "granted", "allowed"),
    "refused": ("refused", "rejected", "denied", "blocked"),
}
"""The labels, and the words that say them."""
KINDS = ("single", "pair")


@dataclass(frozen=True)
class Planted:
    """What to make.

    Attributes:
        tokens: per document, by BERT's vocabulary, special tokens left out; within a sentence of it.
        kind: ``single`` key sentence, or a ``pair``: the label is `accepted` where both say the same.
        decoys: sentences of other people's cases, as likely to say one thing as the other.
    """

    tokens: int = 4096
    kind: str = "single"
    decoys: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        if self.decoys < 0 or self.tokens < 40 * (3 + self.decoys):
            raise ValueError(
                f"{self.decoys} decoys and {self.tokens} tokens: 40 tokens per sentence that says anything"
            )


@dataclass(frozen=True)
class Document:
    """A text, its label, and where its key sentences lie: shares of the text, from 0 to 1."""

    text: str
    label: str
    places: tuple[float, ...]


def documents(count: int, wanted: Planted, seed: int) -> list[Document]:
    """Return documents, half of each label as nearly as may be; the same for the same seed."""
    return [_document(wanted, number % 2, np.random.default_rng([seed, number])) for number in range(count)]


def _document(wanted: Planted, label: int, random: np.random.Generator) -> Document:
    names = list(SAID)
    if wanted.kind == "single":
        keys = [_case("our", names[label], random)]
    else:
        first = int(random.integers(2))
        second = first if label == 0 else 1 - first
        keys = [_case("our first", names[first], random), _case("our second", names[second], random)]
    decoys = [_case("their", names[int(random.integers(2))], random) for _ in range(wanted.decoys)]
    left = wanted.tokens - sum(map(count_tokens, [*keys, *decoys]))
    filler: list[str] = []
    while left > 0:
        filler.append(_filler(random))
        left -= count_tokens(filler[-1])
    # Two halves of a pair lie in different halves of the document, in either order.
    borders = np.linspace(0, len(filler), len(keys) + 1).astype(int)
    spots = [int(random.integers(a, b + 1)) for a, b in pairwise(borders)]
    random.shuffle(keys)
    planted = [*zip(spots, keys, strict=True), *((int(random.integers(len(filler) + 1)), text) for text in decoys)]
    for spot, text in sorted(planted, reverse=True):
        filler.insert(spot, text)
    sizes = np.cumsum([count_tokens(text) for text in filler])
    places = tuple(round(float(sizes[filler.index(key)] / sizes[-1]), 4) for key in keys)
    return Document(" ".join(filler), names[label], places)


def _case(whose: str, label: str, random: np.random.Generator) -> str:
    verb = SAID[label][int(random.integers(len(SAID[label])))]
    return f"The court {verb} {whose} request {PLACES[int(random.integers(len(PLACES)))]}."


def _filler(random: np.random.Generator) -> str:
    def one(words: list[str]) -> str:
        return words[int(random.integers(len(words)))]

    parts = [f"The {one(ADJECTIVES)} {one(NOUNS)} {one(VERBS)} the {one(NOUNS)}", one(PLACES)]
    if random.integers(2):
        parts.append(f"and the {one(NOUNS)} {one(VERBS)} a {one(ADJECTIVES)} {one(NOUNS)}")
    return " ".join(parts) + "."


def count_tokens(text: str) -> int:
    """Return the tokens of a sentence of ours: its words, and the full stop."""
    return len(text.split()) + 1


def write(folder: Path, wanted: Planted, sizes: dict[str, int], seed: int = 0) -> None:
    """Write ``train.csv``, ``validation.csv`` and ``test.csv`` (text, label, place), and ``planted.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (part, size) in enumerate(sizes.items()):
        with (folder / f"{part}.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["text", "label", "place"])
            for made in documents(size, wanted, 1000 * seed + number):
                writer.writerow([made.text, made.label, max(made.places)])
    (folder / "planted.json").write_text(json.dumps({**vars(wanted), "sizes": sizes, "seed": seed}, indent=1) + "\n")


def main() -> None:
    """Write the files and say what they hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--kind", choices=KINDS, default="single")
    parser.add_argument("--decoys", type=int, default=0)
    parser.add_argument(
        "--texts", type=int, default=1000, help="training documents; a quarter as many for each other part"
    )
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sizes = {"train": given.texts, "validation": given.texts // 4, "test": given.texts // 4}
    try:
        wanted = Planted(given.tokens, given.kind, given.decoys)
    except ValueError as error:
        parser.error(str(error))
    write(given.folder, wanted, sizes, given.seed)
    print(json.dumps({"folder": str(given.folder), **vars(wanted), "sizes": sizes, "seed": given.seed}))


if __name__ == "__main__":
    main()

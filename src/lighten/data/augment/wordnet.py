"""A table of synonyms out of WordNet's own database files (the format of `wndb(5WN)`), kept in the user's cache.

The synonyms of a word are the other single words of its synsets. Of a word's parts of speech only the one
counts that WordNet's tagged texts use most, and of that the most frequent sense: with all senses "bad" could become
"big", "film" could become "coating", and labels would not stay true.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, KeysView, Mapping
from pathlib import Path

from lighten.data.augment.words import is_negation
from lighten.data.stop_words import ENGLISH
from lighten.errors import InputError
from lighten.sources import resolve
from lighten.sources.cache import filling, find

Synonyms = Mapping[str, tuple[str, ...]]

PARTS = ("noun", "verb", "adj", "adv")
SENSES = 1
"""Of each word; more make a larger table whose words say less of the same."""
_FORMAT = 1
_TABLE = "synonyms.tsv"


def read_synonyms(source: str, base: Path | None = None) -> Synonyms:
    """Read a table of synonyms.

    Args:
        source: a folder with ``data.noun``, ``index.noun`` and so on for verb, adj and adv (in any place that
            `resolve` knows), or a JSON file of ``{word: [synonyms]}``.
        base: folder that a relative source is looked for in first.

    Returns:
        Small-letter words and their synonyms. A table made of WordNet is kept under ``$LIGHTEN_CACHE``
        with WordNet's licence beside it.

    Raises:
        InputError: no such files, or not in the format.
    """
    found = resolve(source, base=base)
    if len(found.paths) == 1 and found.paths[0].suffix == ".json":
        return _from_json(found.paths[0], source)
    key = f"synonyms {_FORMAT} {found.fingerprint}"
    kept = find(key)
    if kept is None:
        table, notice = build_table(_folder(found.paths, source), source)
        with filling(key, source) as new:
            lines = [f"{word}\t{' '.join(others)}\n" for word, others in table.items()]
            (new.content / _TABLE).write_text("".join(lines), encoding="utf-8")
            (new.content / "LICENSE").write_text(notice, encoding="utf-8")
            new.finish([_TABLE], key)
        return table
    return Kept(kept[0].paths[0].read_text(encoding="utf-8"))


class Kept(Synonyms):
    """The kept table: of its tens of thousands of entries only those are taken apart that are asked for."""

    def __init__(self, content: str) -> None:
        fields = iter(content.replace("\n", "\t").split("\t")[:-1])
        self._others = dict(zip(fields, fields, strict=True))

    def __getitem__(self, word: str) -> tuple[str, ...]:
        return tuple(self._others[word].split(" "))

    def __contains__(self, word: object) -> bool:
        return word in self._others

    def keys(self) -> KeysView[str]:
        """Return the words; whether one is among them is found out faster than through the table."""
        return self._others.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self._others)

    def __len__(self) -> int:
        return len(self._others)


def _from_json(path: Path, source: str) -> Synonyms:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(word).lower(): tuple(map(_text, others)) for word, others in content.items() if others}
    except (OSError, ValueError, AttributeError, TypeError):
        raise InputError("a table of synonyms is a JSON object: {word: [synonym, ...]}", source) from None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _folder(paths: tuple[Path, ...], source: str) -> Path:
    folder = paths[0]
    if len(paths) == 1 and folder.is_dir():
        for place in (folder, folder / "dict"):
            if (place / "data.noun").is_file():
                return place
    raise InputError("there are no WordNet files (data.noun, index.noun, data.verb, ...) in it", source)


def build_table(folder: Path, source: str) -> tuple[Synonyms, str]:
    """Read WordNet's files.

    Args:
        folder: with ``data.*`` and ``index.*`` of the four parts of speech.
        source: what the user wrote, for errors.

    Returns:
        The table in alphabetical order, and the licence notice at the head of the files.

    Raises:
        InputError: a file is missing or a line is not in the format.
    """
    best: dict[str, tuple[tuple[int, int], tuple[str, ...]]] = {}
    notice = ""
    for part in PARTS:
        data, index = folder / f"data.{part}", folder / f"index.{part}"
        try:
            synsets = dict(_synsets(data))
            notice = notice or _notice(data)
            for word, weight, offsets in _entries(index):
                own = [synsets[offset] for offset in offsets]
                others = [other for words in own if word in words for other in words if other != word]
                others = [other for other in dict.fromkeys(others) if not is_negation(other) and other not in ENGLISH]
                if others and (word not in best or weight > best[word][0]):
                    best[word] = weight, tuple(others)
        except (ValueError, IndexError, KeyError):
            raise InputError(f"data.{part} and index.{part} are not in WordNet's format", source) from None
        except OSError as error:
            raise InputError(f"{Path(error.filename or part).name} cannot be read: {error.strerror}", source) from None
    kept = {word: best[word][1] for word in sorted(best) if word not in ENGLISH and not is_negation(word)}
    return kept, notice


def _synsets(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield offset and single plain words of every synset."""
    with path.open(encoding="latin-1") as lines:
        for line in lines:
            if line.startswith("  "):  # the licence
                continue
            fields = line.split(" ")
            count = int(fields[3], 16)
            words = [word.split("(", 1)[0] for word in fields[4 : 4 + 2 * count : 2]]
            yield fields[0], [word for word in words if _plain(word)]


def _entries(path: Path) -> Iterator[tuple[str, tuple[int, int], list[str]]]:
    """Yield word, weight of this part of speech, and the offset of its most frequent sense."""
    with path.open(encoding="latin-1") as lines:
        for line in lines:
            if line.startswith("  "):
                continue
            fields = line.split()
            if not _plain(fields[0]):
                continue
            senses, pointers = int(fields[2]), int(fields[3])
            tagged = int(fields[5 + pointers])
            offsets = fields[6 + pointers : 6 + pointers + senses]
            yield fields[0], (tagged, senses), offsets[:SENSES]


def _plain(word: str) -> bool:
    return len(word) > 2 and word.isascii() and word.isalpha() and word.islower()


def _notice(path: Path) -> str:
    with path.open(encoding="latin-1") as lines:
        return "".join(line for _, line in zip(range(40), lines, strict=False) if line.startswith("  "))

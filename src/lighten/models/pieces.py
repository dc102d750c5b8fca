"""Trims a tokenizer to the pieces a task needs: WordPiece, BPE (byte-level or of characters) or Unigram."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import printable
from typing import Any, Literal

from lighten.errors import InputError
from lighten.models.checkpoint import read_object
from lighten.models.merges import Merges, characters_of, is_byte
from lighten.models.special_pieces import renumber_processor, special_ids, write_settings
from lighten.models.tokens import Ids, read_tokenizer
from lighten.pipeline.files import write_text

Size = int | Literal["used", "full"]
KINDS = ("BPE", "Unigram", "WordPiece")
OTHER_FORMS = ("*.model", "vocab.json", "vocab.txt", "merges.txt")
"""Files that hold the same vocabulary once more; tokenizer.json comes before them wherever it is known."""
SPACE = "\u2581"
"""How SentencePiece writes a space: it stands before words that no piece begins."""
LAST_FIXED = 8
"""Transformers counts on the number of SentencePiece's unknown token; what lies in front of it stays, up to here."""


@dataclass(frozen=True)
class _Wanted:
    """What the texts want of a vocabulary: ids that stay in any case, uses of the others, and what breaks ties."""

    must: set[int]
    uses: Mapping[int, int]
    depth: Mapping[int, int] = field(default_factory=dict)


def can_trim(folder: Path) -> bool:
    """Return whether this kind of tokenizer can be trimmed."""
    return _kind(read_object(folder / "tokenizer.json")) in KINDS


def choose_pieces(folder: Path, encoded: Iterable[Ids], size: Size) -> list[int]:
    """Return the ids to keep, ascending.

    Special tokens and single characters always stay: a word whose pieces are gone falls back to shorter
    ones, not to the unknown token. Of BPE with byte fallback and of Unigram, whose vocabularies hold the characters
    of all scripts, those of the texts and of ASCII stay (and all bytes). A piece of BPE brings those that it is
    built of.

    Args:
        folder: of the tokenizer.
        encoded: the training texts.
        size: ``"used"`` keeps every piece that occurs, a number the most frequent ones, ``"full"`` all.

    Raises:
        InputError: another kind of tokenizer, its unknown token is missing, nothing is left, or the size is too small
            for the pieces that must stay.
    """
    content = _read(folder)
    vocabulary = _vocabulary(content["model"])
    special = special_ids(folder, content, vocabulary) | _unknown(content["model"], vocabulary, folder)
    if size == "full":
        return sorted({*vocabulary.values(), *special})
    counts: Counter[int] = Counter()
    for ids in encoded:
        counts.update(ids.tolist())
    wanted = _wanted(content["model"], vocabulary, counts)
    must = special | wanted.must
    others = [i for i in wanted.uses if i not in must]
    if size == "used":
        kept = sorted(must.union(others))
        if not kept:
            raise InputError("no piece is left: none occurs in the texts, and no special token is named", str(folder))
        return kept
    if size < len(must) + 1:
        raise InputError(
            f"{size} pieces are too few: {len(must)} special tokens and characters must stay", "vocabulary"
        )
    others.sort(key=lambda i: (-wanted.uses[i], wanted.depth.get(i, 0), i))
    return sorted(must.union(others[: size - len(must)]))


def write_trimmed(source: Path, target: Path, kept: Sequence[int]) -> list[str]:
    """Write the tokenizer files of `source` to `target` with only the pieces in `kept`, renumbered in that order.

    Args:
        source: folder of the whole tokenizer.
        target: existing folder.
        kept: ids, ascending, from `choose_pieces`.

    Returns:
        Names of files in `source` that hold the whole vocabulary in another form and were left out.

    Raises:
        InputError: the ids of this tokenizer have gaps, so that it cannot be written.
    """
    content = _read(source)
    number = {old: new for new, old in enumerate(kept)}
    wanted = _names(content)
    _cut(content["model"], number)
    for item in content.get("added_tokens", []):
        item["id"] = number[item["id"]]
    renumber_processor(content.get("post_processor"), number)
    content["padding"] = content["truncation"] = None
    # Compact: the pieces are a tenth of an int8 model, and indentation would double them.
    write_text(target / "tokenizer.json", json.dumps(content, ensure_ascii=False, separators=(",", ":")))
    for piece, new in read_tokenizer(target).get_vocab().items():
        if number.get(wanted[piece]) != new:
            raise InputError(
                f"the ids have gaps: {piece!r} would get {new}, not {number.get(wanted[piece])}",
                str(source / "tokenizer.json"),
            )
    write_settings(source, target, number)
    return sorted({file.name for pattern in OTHER_FORMS for file in source.glob(pattern)})


def _read(folder: Path) -> dict[str, Any]:
    content = read_object(folder / "tokenizer.json")
    kind = _kind(content)
    if kind not in KINDS:
        raise InputError(
            f"a {kind} tokenizer cannot be trimmed, only {', '.join(KINDS)}", str(folder / "tokenizer.json")
        )
    return content


def _kind(content: Mapping[str, Any]) -> str:
    model = content.get("model")
    return str(model.get("type")) if isinstance(model, dict) else "nameless"


def _vocabulary(model: Mapping[str, Any]) -> dict[str, int]:
    """Return ids by piece; Unigram lists its pieces with their scores."""
    pieces: Any = model["vocab"]
    return dict(pieces) if isinstance(pieces, dict) else {piece: i for i, (piece, _) in enumerate(pieces)}


def _names(content: Mapping[str, Any]) -> dict[str, int]:
    added = {item["content"]: int(item["id"]) for item in content.get("added_tokens", [])}
    return {**_vocabulary(content["model"]), **added}


def _unknown(model: Mapping[str, Any], vocabulary: Mapping[str, int], folder: Path) -> set[int]:
    """Return the id of the unknown token, and of what must stay in front of it."""
    if model["type"] == "Unigram":
        number = model.get("unk_id")
        return set() if number is None else {number, *range(min(number, LAST_FIXED))}
    name = model.get("unk_token")
    if isinstance(name, str) and name in vocabulary:
        return {vocabulary[name]}
    if model["type"] == "WordPiece":
        raise InputError(f"the unknown token {name!r} is not in the vocabulary", str(folder / "tokenizer.json"))
    return set()


def _wanted(model: Mapping[str, Any], vocabulary: Mapping[str, int], counts: Counter[int]) -> _Wanted:
    if model["type"] == "WordPiece":
        prefix = model.get("continuing_subword_prefix", "##")
        return _Wanted({i for piece, i in vocabulary.items() if len(piece.removeprefix(prefix)) == 1}, counts)
    if model["type"] == "BPE":
        merges = Merges(model)
        uses, depth = merges.uses(counts)
        must = merges.alphabet()
        if merges.byte_fallback:
            must |= _characters(vocabulary, uses)
        return _Wanted(must, uses, depth)
    must = _characters(vocabulary, counts) | {i for piece, i in vocabulary.items() if is_byte(piece)}
    if vocabulary:
        # The price of the unknown token is reckoned from the lowest score: it must not change.
        must.add(min(range(len(model["vocab"])), key=lambda i: float(model["vocab"][i][1])))
    return _Wanted(must, counts)


def _characters(vocabulary: Mapping[str, int], used: Iterable[int]) -> set[int]:
    """Return the ids of the characters in the used pieces, and of ASCII."""
    names = {i: piece for piece, i in vocabulary.items()}
    letters = characters_of(names[i] for i in used if i in names) | {*printable, SPACE}
    return {vocabulary[letter] for letter in letters if letter in vocabulary}


def _cut(model: dict[str, Any], number: Mapping[int, int]) -> None:
    """Leave only the pieces that have a new number, and the merges between them."""
    if model["type"] == "Unigram":
        model["vocab"] = [entry for i, entry in enumerate(model["vocab"]) if i in number]
        if model.get("unk_id") is not None:
            model["unk_id"] = number[model["unk_id"]]
        return
    merges = Merges(model) if model["type"] == "BPE" else None
    ordered = sorted(model["vocab"].items(), key=lambda item: item[1])
    model["vocab"] = {piece: number[i] for piece, i in ordered if i in number}
    if merges is not None:
        model["merges"] = [model["merges"][rank] for rank in merges.kept(model["vocab"])]

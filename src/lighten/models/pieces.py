"""Trims a WordPiece tokenizer to the pieces a task needs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from lighten.errors import InputError
from lighten.models.checkpoint import read_object
from lighten.models.tokens import Ids
from lighten.pipeline.files import write_json, write_text

Size = int | Literal["used", "full"]


def can_trim(folder: Path) -> bool:
    """Return whether this kind of tokenizer can be trimmed (WordPiece)."""
    return _kind(read_object(folder / "tokenizer.json")) == "WordPiece"


def choose_pieces(folder: Path, encoded: Iterable[Ids], size: Size) -> list[int]:
    """Return the ids to keep, ascending.

    Special tokens and single characters always stay: a word whose pieces are gone falls back to shorter
    ones, not to the unknown token.

    Args:
        folder: of the tokenizer.
        encoded: the training texts.
        size: ``"used"`` keeps every piece that occurs, a number the most frequent ones, ``"full"`` all.

    Raises:
        InputError: not WordPiece, or the size is too small for the pieces that must stay.
    """
    content = _read(folder)
    vocabulary: dict[str, int] = content["model"]["vocab"]
    prefix = content["model"].get("continuing_subword_prefix", "##")
    special = {item["id"] for item in content.get("added_tokens", [])} | _processor_ids(content.get("post_processor"))
    special.add(vocabulary[content["model"]["unk_token"]])
    padding = read_object(folder / "config.json").get("pad_token_id") if (folder / "config.json").is_file() else None
    if isinstance(padding, int):
        special.add(padding)
    if size == "full":
        return sorted({*vocabulary.values(), *special})
    single = {i for piece, i in vocabulary.items() if len(piece.removeprefix(prefix)) == 1}
    counts: Counter[int] = Counter()
    for ids in encoded:
        counts.update(ids.tolist())
    must = special | single
    if size == "used":
        return sorted(must | set(counts))
    if size < len(must) + 1:
        raise InputError(
            f"{size} pieces are too few: {len(must)} special tokens and characters must stay", "vocabulary"
        )
    frequent = [i for i, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if i not in must]
    return sorted(must | set(frequent[: size - len(must)]))


def write_trimmed(source: Path, target: Path, kept: Sequence[int]) -> None:
    """Write the tokenizer files of `source` to `target` with only the pieces in `kept`, renumbered in that order."""
    content = _read(source)
    number = {old: new for new, old in enumerate(kept)}
    vocabulary = content["model"]["vocab"]
    content["model"]["vocab"] = {
        p: number[i] for p, i in sorted(vocabulary.items(), key=lambda x: x[1]) if i in number
    }
    for item in content.get("added_tokens", []):
        item["id"] = number[item["id"]]
    _renumber_processor(content.get("post_processor"), number)
    content["padding"] = content["truncation"] = None
    # Compact: the pieces are a tenth of an int8 model, and indentation would double them.
    write_text(target / "tokenizer.json", json.dumps(content, ensure_ascii=False, separators=(",", ":")))
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (source / name).is_file():
            settings = read_object(source / name)
            if isinstance(settings.get("added_tokens_decoder"), dict):
                decoder = {int(i): token for i, token in settings["added_tokens_decoder"].items()}
                settings["added_tokens_decoder"] = {str(number[i]): t for i, t in decoder.items() if i in number}
            write_json(target / name, settings)


def _read(folder: Path) -> dict[str, Any]:
    content = read_object(folder / "tokenizer.json")
    kind = _kind(content)
    if kind != "WordPiece":
        raise InputError(f"a {kind} tokenizer cannot be trimmed yet, only WordPiece", str(folder / "tokenizer.json"))
    return content


def _kind(content: dict[str, Any]) -> str:
    model = content.get("model")
    return str(model.get("type")) if isinstance(model, dict) else "nameless"


def _processor_ids(processor: Any) -> set[int]:
    """Return the ids that the post-processor writes around a text."""
    if not isinstance(processor, dict):
        return set()
    ids = {i for part in processor.get("processors", []) for i in _processor_ids(part)}
    if processor.get("type") == "TemplateProcessing":
        ids.update(i for token in processor["special_tokens"].values() for i in token["ids"])
    ids.update(processor[key][1] for key in ("cls", "sep") if isinstance(processor.get(key), list))
    return ids


def _renumber_processor(processor: Any, number: dict[int, int]) -> None:
    """The post-processor writes [CLS] and [SEP] by id: those ids moved."""
    if not isinstance(processor, dict):
        return
    for part in processor.get("processors", []):
        _renumber_processor(part, number)
    if processor.get("type") == "TemplateProcessing":
        for token in processor["special_tokens"].values():
            token["ids"] = [number[i] for i in token["ids"]]
    for key in ("cls", "sep"):
        if isinstance(processor.get(key), list):
            processor[key][1] = number[processor[key][1]]

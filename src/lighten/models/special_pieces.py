"""Special tokens of a tokenizer folder: which ids are named outside of the vocabulary, and their new numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.models.checkpoint import read_object, read_tokenizer_config
from lighten.pipeline.files import write_json

SETTINGS = ("tokenizer_config.json", "special_tokens_map.json")
GENERATION = "generation_config.json"


def special_ids(folder: Path, content: Mapping[str, Any], vocabulary: Mapping[str, int]) -> set[int]:
    """Return the ids that must stay because something names them.

    Added tokens, what the post-processor writes around a text, and the tokens that tokenizer_config.json, config.json
    and generation_config.json name.

    Args:
        folder: of the tokenizer.
        content: of tokenizer.json.
        vocabulary: ids by piece.
    """
    added = {item["content"]: item["id"] for item in content.get("added_tokens", [])}
    known = {**vocabulary, **added}
    ids = {*added.values(), *processor_ids(content.get("post_processor"))}
    for key, value in read_tokenizer_config(folder).items():
        name = value.get("content") if isinstance(value, dict) else value
        if key.endswith("_token") and isinstance(name, str) and name in known:
            ids.add(known[name])
    numbers = set(known.values())
    for name in ("config.json", GENERATION):
        if (folder / name).is_file():
            ids |= numbers & token_ids(read_object(folder / name))
    return ids


def token_ids(config: Mapping[str, Any]) -> set[int]:
    """Return the ids in a config's keys such as ``pad_token_id``; several ids may end a text."""
    found: set[int] = set()
    for key, value in config.items():
        if key.endswith("_token_id"):
            found.update(i for i in (value if isinstance(value, list) else [value]) if type(i) is int)
    return found


def processor_ids(processor: Any) -> set[int]:
    """Return the ids that the post-processor writes around a text."""
    if not isinstance(processor, dict):
        return set()
    ids = {i for part in processor.get("processors", []) for i in processor_ids(part)}
    if processor.get("type") == "TemplateProcessing":
        ids.update(i for token in processor["special_tokens"].values() for i in token["ids"])
    ids.update(processor[key][1] for key in ("cls", "sep") if isinstance(processor.get(key), list))
    return ids


def renumber_processor(processor: Any, number: Mapping[int, int]) -> None:
    """Give the post-processor, which writes special tokens by id, their new ids in place."""
    if not isinstance(processor, dict):
        return
    for part in processor.get("processors", []):
        renumber_processor(part, number)
    if processor.get("type") == "TemplateProcessing":
        for token in processor["special_tokens"].values():
            token["ids"] = [number[i] for i in token["ids"]]
    for key in ("cls", "sep"):
        if isinstance(processor.get(key), list):
            processor[key][1] = number[processor[key][1]]


def write_settings(source: Path, target: Path, number: Mapping[int, int]) -> None:
    """Write the files beside tokenizer.json that name tokens by id, with the new ids."""
    for name in SETTINGS:
        if (source / name).is_file():
            settings = read_object(source / name)
            if isinstance(settings.get("added_tokens_decoder"), dict):
                decoder = {int(i): token for i, token in settings["added_tokens_decoder"].items()}
                settings["added_tokens_decoder"] = {str(number[i]): t for i, t in decoder.items() if i in number}
            write_json(target / name, settings)
    if (source / GENERATION).is_file():
        config = read_object(source / GENERATION)
        for key, value in config.items():
            if key.endswith("_token_id"):
                several = isinstance(value, list)
                config[key] = [number[i] for i in value if i in number] if several else number.get(value)
        write_json(target / GENERATION, config)

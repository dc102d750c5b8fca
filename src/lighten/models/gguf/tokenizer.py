"""The tokenizer in a GGUF file as tokenizer.json: byte-level BPE, which GGUF calls ``gpt2``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors

from lighten.errors import InputError, nearest
from lighten.pipeline.files import write_json, write_text

_CONTROL, _USER = 3, 4
"""Kinds of tokens: markers such as the end of a text, and words that its maker added."""
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLITS = {"llama-bpe": _WORDS % r"\p{N}{1,3}", "qwen2": _WORDS % r"\p{N}"}
"""How a text falls into words before the merges, where it is not GPT-2's way (the models' own published patterns)."""
SUPPORTED = ("gpt-2", "default", "smollm", "llama-bpe", "qwen2")


def write_tokenizer(values: dict[str, Any], folder: Path, positions: int, rows: int, where: str) -> dict[str, int]:
    """Write tokenizer.json and tokenizer_config.json.

    Args:
        values: of the file's head.
        folder: to write into.
        positions: longest text of the model in tokens.
        rows: of the embedding table.
        where: the file, for messages.

    Returns:
        Special ids by role: ``bos``, ``eos``, ``unk``, ``pad``, those that the file names.

    Raises:
        InputError: another kind of tokenizer, an unknown way to split words, or lists that are missing or damaged.
    """
    kind, way = values.get("tokenizer.ggml.model"), values.get("tokenizer.ggml.pre", "default")
    if kind != "gpt2":
        raise InputError(f"the tokenizer is of kind {kind!r}; only byte-level BPE ('gpt2') is read", where)
    if way not in SUPPORTED:
        raise InputError(
            f"words are split as {way!r}; known are {', '.join(SUPPORTED)}{nearest(str(way), SUPPORTED)}", where
        )
    words, merges = (_texts(values, f"tokenizer.ggml.{name}", where) for name in ("tokens", "merges"))
    if len(words) > rows:
        raise InputError(f"the tokenizer has {len(words)} tokens, but the model knows {rows}", where)
    roles = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    named = {role: values.get(f"tokenizer.ggml.{name}_token_id") for role, name in roles.items()}
    special = {role: number for role, number in named.items() if type(number) is int and 0 <= number < len(words)}
    tokenizer = _byte_pairs(words, merges, _kinds(values, words, where), way)
    if values.get("tokenizer.ggml.add_bos_token") and "bos" in special:
        first = (words[special["bos"]], special["bos"])
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), _begin_with(first)])
    write_text(folder / "tokenizer.json", tokenizer.to_str(pretty=False))
    settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": positions}
    settings |= {f"{role}_token": words[number] for role, number in special.items()}
    settings |= {"clean_up_tokenization_spaces": False}
    if isinstance(values.get("tokenizer.chat_template"), str):
        settings["chat_template"] = values["tokenizer.chat_template"]
    write_json(folder / "tokenizer_config.json", settings)
    return special


def _texts(values: dict[str, Any], key: str, where: str) -> list[str]:
    found = values.get(key)
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise InputError(f"the head lacks {key}, a list of texts", where)
    if key.endswith("merges"):
        for merge in found:
            if " " not in merge[1:-1]:
                raise InputError(f"{key}: {merge[:40]!r} are not two pieces with a blank between them", where)
    return found


def _kinds(values: dict[str, Any], words: list[str], where: str) -> list[int]:
    kinds = values.get("tokenizer.ggml.token_type") or [1] * len(words)
    if not isinstance(kinds, list) or len(kinds) != len(words):
        raise InputError(f"tokenizer.ggml.token_type must be a list as long as the tokens ({len(words)})", where)
    return kinds


def _byte_pairs(words: list[str], merges: list[str], kinds: list[int], way: str) -> Tokenizer:
    pairs = [(first, second) for first, _, second in (merge.partition(" ") for merge in merges)]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=pairs))
    levels: list[Any] = []
    if way == "smollm":  # digit by digit
        levels.append(pre_tokenizers.Digits(individual_digits=True))
    if way in _SPLITS:
        levels.append(pre_tokenizers.Split(Regex(_SPLITS[way]), "isolated"))
    levels.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=way not in _SPLITS))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(levels) if len(levels) > 1 else levels[0]
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    for word, kind in zip(words, kinds, strict=True):
        if kind == _CONTROL:
            tokenizer.add_special_tokens([AddedToken(word, special=True, normalized=False)])
        elif kind == _USER:
            tokenizer.add_tokens([AddedToken(word, normalized=False)])
    return tokenizer


def _begin_with(first: tuple[str, int]) -> Any:
    return processors.TemplateProcessing(
        single=f"{first[0]} $A", pair=f"{first[0]} $A {first[0]}:1 $B:1", special_tokens=[first]
    )

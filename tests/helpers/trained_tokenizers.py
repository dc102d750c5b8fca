"""Tiny tokenizers of every kind, trained on a small text: as RoBERTa, GPT-2, Llama and XLM-R have them."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from tests.helpers.checkpoints import BAD, GOOD, NEUTRAL, make_config, make_model

TEXT = [
    f"{good} {neutral}s are {bad}ly filmed, {other}! Caf\u00e9 \u00fcber 1{len(neutral)}"
    for good in GOOD
    for bad in BAD
    for neutral in NEUTRAL
    for other in ("unlike warmth", "disliking the weather", "unlikely likings")
]
KINDS = ("wordpiece", "bytes", "gpt2", "suffix", "fallback", "ignoring", "unigram")
"""``bytes`` is RoBERTa's kind, ``suffix`` BPE of characters, ``fallback`` Llama 2's, ``ignoring`` Llama 3's."""
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def train(kind: str, pieces: int = 400) -> Any:
    """Return a ``tokenizers.Tokenizer``; its special tokens are 0 to 3 and ``<mask>``, the last one."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    common: dict[str, Any] = {"vocab_size": pieces, "special_tokens": SPECIAL, "show_progress": False}
    letters = pre_tokenizers.ByteLevel.alphabet()
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder, trainer = decoders.WordPiece(), trainers.WordPieceTrainer(**common)
    elif kind in ("bytes", "gpt2", "ignoring"):
        tokenizer = Tokenizer(models.BPE(ignore_merges=kind == "ignoring"))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(initial_alphabet=letters, **common)
    elif kind == "suffix":
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.BPEDecoder()
        trainer = trainers.BpeTrainer(end_of_word_suffix="</w>", **common)
    elif kind == "fallback":
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
        )
        tokenizer.decoder = decoders.Sequence(
            [
                decoders.Replace("\u2581", " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                decoders.Strip(" ", 1, 0),
            ]
        )
        common["special_tokens"] = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
        trainer = trainers.BpeTrainer(max_token_length=9, **{**common, "vocab_size": pieces + 256})
    else:
        tokenizer = Tokenizer(models.Unigram(_scores(), unk_id=3, byte_fallback=False))
        space = {"replacement": "\u2581", "prepend_scheme": "always"}
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**space)]
        )
        tokenizer.decoder = decoders.Metaspace(**space)
        trainer = None
        tokenizer.add_special_tokens(SPECIAL)
    if trainer is not None:
        tokenizer.train_from_iterator(TEXT, trainer)
    if kind == "fallback":  # the trainer takes the bytes for special tokens, as no one else does
        tokenizer = _plain_bytes(tokenizer)
    tokenizer.add_special_tokens(["<mask>"])
    ends = ("</s>", 2), ("<s>", 0)
    if kind == "bytes":
        tokenizer.post_processor = processors.RobertaProcessing(*ends)
    elif kind in ("gpt2", "ignoring"):
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    else:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=list(ends)
        )
    return tokenizer


def write_trained(folder: Path, kind: str, model: str, tokenizer_class: str = "PreTrainedTokenizerFast") -> Path:
    """Write a tiny classifier of type `model` with a tokenizer; transformers opens that as `tokenizer_class`."""
    from transformers import AutoConfig, PreTrainedTokenizerFast

    from lighten.pipeline.files import read_json, write_json

    folder.mkdir(parents=True)
    tokenizer = train(kind)
    named = {
        "bos": "<s>",
        "cls": "<s>",
        "pad": "<pad>",
        "eos": "</s>",
        "sep": "</s>",
        "unk": "<unk>",
        "mask": "<mask>",
    }
    tokens = {f"{role}_token": name for role, name in named.items()}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=40, **tokens).save_pretrained(folder)
    settings = read_json(folder / "tokenizer_config.json")
    write_json(folder / "tokenizer_config.json", {**settings, "tokenizer_class": tokenizer_class})
    ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    count = tokenizer.get_vocab_size()
    if model in ("roberta", "xlm-roberta", "camembert"):
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
        config = AutoConfig.for_model(
            model, vocab_size=count, max_position_embeddings=50, initializer_range=0.15, **sizes, **ids
        )
    else:
        config = make_config(model, count, 1)
    make_model(config).save_pretrained(folder)
    return folder


def _plain_bytes(tokenizer: Any) -> Any:
    import json

    from tokenizers import Tokenizer

    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [item for item in content["added_tokens"] if item["content"] in SPECIAL]
    return Tokenizer.from_str(json.dumps(content))


def _scores() -> list[tuple[str, float]]:
    """Return pieces with the logarithm of their frequency; the library's own trainer leaves few of so small a text."""
    words = Counter(f"\u2581{word}" for text in TEXT for word in text.split())
    counts: Counter[str] = Counter()
    for word, count in words.items():
        ends = [(start, end) for start in range(len(word)) for end in range(start + 1, min(len(word), start + 8) + 1)]
        counts.update({word[start:end]: 0 for start, end in ends})
        for start, end in ends:
            counts[word[start:end]] += count
    longer = sorted((p for p in counts if len(p) > 1), key=lambda p: (-counts[p] * len(p), p))[:250]
    pieces = [*(p for p in counts if len(p) == 1), *longer]
    total = sum(counts[piece] for piece in pieces)
    return [(name, 0.0) for name in SPECIAL] + [(piece, math.log(counts[piece] / total)) for piece in pieces]

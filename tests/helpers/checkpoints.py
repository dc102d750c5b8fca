"""Tiny real checkpoints: a WordPiece tokenizer and random encoders of every type, as transformers folders."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

KINDS = ("bert", "roberta", "electra", "distilbert")
ALL_KINDS = (*KINDS, "modernbert")
"""With the type whose layers norm what they read."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
GOOD = ["great", "good", "warm", "triumph", "funny"]
BAD = ["bad", "dull", "mess", "boring", "rotten"]
NEUTRAL = ["a", "the", "film", "movie", "was", "is", "and", "of", "it", "this", "plot", "scene"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
POSITIONS = 48


@cache
def vocabulary(padding: int) -> dict[str, int]:
    """Return pieces by name; unused ones lie in front of and behind [PAD], as in BERT's own list."""
    pieces = [f"[unused{i}]" for i in range(padding)] + ["[PAD]"] + [f"[unused{i}]" for i in range(90, 94)]
    pieces += SPECIAL[1:] + GOOD + BAD + NEUTRAL
    pieces += [f"##{ending}" for ending in ("ing", "ed", "ly", "er", "est", "ness", "s")]
    pieces += [letter for letter in LETTERS + "0123456789.,!'" if letter not in pieces]
    pieces += [f"##{letter}" for letter in LETTERS if f"##{letter}" not in pieces]
    return {piece: index for index, piece in enumerate(pieces)}


def write_tokenizer(folder: Path, padding: int = 0, processor: str = "template") -> int:
    """Write tokenizer.json and tokenizer_config.json; returns the number of pieces."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = vocabulary(padding)
    tokenizer = Tokenizer(models.WordPiece(dict(pieces), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    cls, sep = ("[CLS]", pieces["[CLS]"]), ("[SEP]", pieces["[SEP]"])
    if processor == "template":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[cls, sep]
        )
    else:
        tokenizer.post_processor = processors.BertProcessing(sep, cls)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    # As training leaves it behind.
    tokenizer.enable_padding(pad_id=padding, length=20)
    tokenizer.enable_truncation(max_length=20)
    names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=512, **{f"{k}_token": v for k, v in names.items()}
    )
    fast.save_pretrained(folder)
    return len(pieces)


def make_config(kind: str, pieces: int, padding: int = 0, layers: int = 2, classes: int = 2, **changes: Any) -> Any:
    """Return a transformers config of a tiny model (width 32, 4 heads, 48 positions)."""
    from transformers import AutoConfig

    common = {"vocab_size": pieces, "pad_token_id": padding, "num_labels": classes, "initializer_range": 0.15}
    if kind == "distilbert":
        sizes = {"dim": 32, "n_layers": layers, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": POSITIONS}
    else:
        offset = padding + 1 if kind == "roberta" else 0
        sizes = {
            "hidden_size": 32,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "max_position_embeddings": POSITIONS + offset,
        }
    if kind == "electra":
        sizes["embedding_size"] = 16
    if kind == "modernbert":  # layers: full, local, local, full; a window of 4 tokens on each side
        sizes |= {"local_attention": 8, "bos_token_id": 5, "eos_token_id": 6, "cls_token_id": 5, "sep_token_id": 6}
    return AutoConfig.for_model(kind, **{**common, **sizes, **changes})


def make_model(config: Any, seed: int = 0) -> Any:
    """Return a classifier whose every number is random, norms and biases too, so that no mistake cancels out."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def write_model(
    folder: Path,
    kind: str = "bert",
    *,
    padding: int | None = None,
    processor: str = "template",
    seed: int = 0,
    **wanted: Any,
) -> Path:
    """Write a whole checkpoint folder; `wanted` goes to `make_config`."""
    folder.mkdir(parents=True, exist_ok=True)
    padding = {"roberta": 1}.get(kind, 0) if padding is None else padding
    pieces = write_tokenizer(folder, padding, processor)
    make_model(make_config(kind, pieces, padding, **wanted), seed).save_pretrained(folder)
    return folder


def sentences(count: int, seed: int = 0, longest: int = 12) -> tuple[list[str], list[int]]:
    """Return texts and labels: 1 where a good word is in the text, 0 where a bad one is."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for index in range(count):
        label = index % 2
        words = rng.choice(NEUTRAL, rng.integers(1, longest)).tolist()
        words.insert(int(rng.integers(0, len(words) + 1)), str(rng.choice((BAD, GOOD)[label])))
        texts.append(" ".join(words))
        labels.append(label)
    return texts, labels


def token_batch(vocabulary: int, rows: int, tokens: int, padding: int, seed: int = 0) -> tuple[Any, Any]:
    """Return random ids and a mask, int64 [rows, tokens]; every row but the first is padded on the right."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(padding + 1, vocabulary, (rows, tokens))
    lengths = np.concatenate([[tokens], rng.integers(1, tokens + 1, rows - 1)])
    mask = (np.arange(tokens) < lengths[:, None]).astype(np.int64)
    return np.where(mask == 1, ids, padding), mask


def check_loads(folder: Path) -> None:
    """Plain transformers finds every tensor, and a tokenizer."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    _, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["mismatched_keys"]
    AutoTokenizer.from_pretrained(folder)


def same_state(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two checkpoints hold the same tensors."""
    return first.keys() == second.keys() and all(np.array_equal(first[n], second[n]) for n in first)


@cache
def _shared(root: Path, kind: str) -> Path:
    return write_model(root / kind, kind)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One two-layer checkpoint folder per kind, for the whole session: never write into them."""
    root = tmp_path_factory.getbasetemp() / "tiny-checkpoints"
    return {kind: _shared(root, kind) for kind in ALL_KINDS}


@pytest.fixture(scope="session")
def bert(checkpoints: dict[str, Path]) -> Path:
    """The tiny BERT: never write into it."""
    return checkpoints["bert"]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tiny products gain nothing from threads, and sums keep their order."""
    import torch

    torch.set_num_threads(1)

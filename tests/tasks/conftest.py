"""Tiny data and models for `lighten train`: a classifier, a masked and a causal language model, a summariser."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import make_tokenizer
from tests.helpers.checkpoints import bert, checkpoints, one_thread, sentences

import lighten

__all__ = ["bert", "checkpoints", "one_thread"]

LABELS = ("bad", "good")


def write_csv(path: Path, columns: dict[str, list[Any]]) -> Path:
    """Write columns as CSV."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def write_language_model(folder: Path, kind: str) -> Path:
    """Write config and tokenizer of a tiny model, no weights: enough from scratch."""
    from transformers import AutoConfig

    folder.mkdir(parents=True)
    pieces = make_tokenizer(folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"mask_token": "[MASK]", "pad_token": "[PAD]", "sep_token": "[SEP]", "cls_token": "[CLS]"})
    )
    common = {"vocab_size": pieces, "pad_token_id": 0}
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    if kind == "llama":
        config = AutoConfig.for_model("llama", **common, **sizes, max_position_embeddings=512, bos_token_id=2)
        config.architectures = ["LlamaForCausalLM"]
    elif kind == "bert":
        config = AutoConfig.for_model("bert", **common, **sizes, max_position_embeddings=64)
        config.architectures = ["BertForMaskedLM"]
    elif kind == "led":
        config = AutoConfig.for_model(
            "led",
            **common,
            d_model=32,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            attention_window=[8],
            max_encoder_position_embeddings=2048,
            max_decoder_position_embeddings=32,
            bos_token_id=2,
            eos_token_id=3,
            decoder_start_token_id=3,
        )
        config.architectures = ["LEDForConditionalGeneration"]
    else:
        config = AutoConfig.for_model(
            "bart",
            **common,
            d_model=32,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            max_position_embeddings=64,
            bos_token_id=2,
            eos_token_id=3,
            decoder_start_token_id=3,
            forced_eos_token_id=3,
        )
        config.architectures = ["BartForConditionalGeneration"]
    config.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred texts, each with a word that tells its label."""
    texts, labels = sentences(480, seed=1)
    texts = [f"{text} {number}" for number, text in enumerate(texts)]
    return write_csv(
        tmp_path_factory.mktemp("data") / "reviews.csv", {"text": texts, "label": [LABELS[item] for item in labels]}
    )


Trained = Callable[..., lighten.TrainResult]


@pytest.fixture
def recipe(bert: Path, reviews: Path) -> Callable[..., dict[str, Any]]:
    """A function that returns a classifier's recipe with changes to its section ``train``."""

    def make(changes: dict[str, Any] | None = None, **train: Any) -> dict[str, Any]:
        how = {"epochs": 4, "learning_rate": 3e-3, "precision": "fp32", "tokens_per_batch": 128, **train}
        return {
            "task": "text-classification",
            "data": {"train": str(reviews), "text": "text", "label": "label", "prepare": []},
            "model": str(bert),
            "train": how,
            **(changes or {}),
        }

    return make


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint."""
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")

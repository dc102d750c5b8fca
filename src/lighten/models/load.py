"""Sequence classifiers through transformers: safetensors only, no remote code, quiet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lighten.errors import InputError
from lighten.models.checkpoint import check_model, copy_tokenizer
from lighten.models.layout import Names, names_of
from lighten.models.norms import restore


def load_classifier(folder: Path, labels: Sequence[str], seed: int, dropout: float = 0.0) -> Any:
    """Load ``AutoModelForSequenceClassification``; a head that the checkpoint lacks is drawn from the seed.

    A normalisation noted by `lighten.models.norms` is put back in.

    Args:
        folder: a transformers folder.
        labels: names of the classes, in order.
        seed: of the new head.
        dropout: everywhere in the encoder and before the head.

    Raises:
        InputError: anything wrong with the folder, or its weights are those of another architecture.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification
    from transformers.utils import logging

    names = names_of(check_model(folder), str(folder / "config.json"))
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a value out of place raises what the reading code happens to raise
        raise InputError(f"transformers cannot read it: {error}", str(folder / "config.json")) from None
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    for key in (
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "classifier_dropout",
        "dropout",
        "attention_dropout",
        "seq_classif_dropout",
    ):
        if hasattr(config, key):
            setattr(config, key, dropout)
    torch.manual_seed(seed)
    try:
        model, loaded = AutoModelForSequenceClassification.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            attn_implementation="sdpa",
            # A checkpoint fine-tuned for other labels brings a head of another size.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise InputError(f"transformers cannot load the model: {error}", str(folder)) from None
    _check_encoder(loaded, names, folder, restore(model, folder))
    return model


SHORT = 256
"""Tokens up to which plain attention is used: measured at about 30 (benchmarks/probe_training.py), a guess above."""


def suit_attention(model: Any, longest: int) -> None:
    """Choose the attention implementation for training on texts of up to `longest` tokens.

    The backward pass of the fused CPU kernel costs several times the plain products on short texts; on long ones
    the plain scores would not fit in memory.
    """
    model.set_attn_implementation("eager" if longest <= SHORT else "sdpa")


def _check_encoder(loaded: Mapping[str, Any], names: Names, folder: Path, restored: Sequence[str]) -> None:
    """Only a head may be new; an encoder of random numbers would train and answer as if it were the model.

    Norms of another kind are new to transformers, and filled by us.
    """
    new = [*loaded["missing_keys"], *(entry[0] for entry in loaded["mismatched_keys"])]
    known = tuple(name + "." for name in (*(name for name, _ in names.head), *restored))
    astray = sorted(name for name in new if not name.startswith(known))
    if astray:
        raise InputError(
            f"the weights do not fit config.json: {len(astray)} tensors of the encoder are missing or of another "
            f"shape, {astray[0]} among them",
            str(folder),
        )


def save_classifier(model: Any, folder: Path, tokenizer: Path) -> None:
    """Write the model with its tokenizer, loadable by plain transformers."""
    model.save_pretrained(folder, safe_serialization=True)
    copy_tokenizer(tokenizer, folder)

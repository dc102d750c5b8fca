"""Sequence classifiers through transformers: safetensors only, no remote code, quiet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lighten.models.attention import by_length
from lighten.models.attention.apply import own_pattern, restore_attention
from lighten.models.attention.register import NAME as WINDOWED
from lighten.models.attention.register import register
from lighten.models.checkpoint import check_model, copy_tokenizer
from lighten.models.layout import is_pre_norm, names_of
from lighten.models.norms import restore
from lighten.models.pretrained import pretrained, quiet_config, refuse_new


def load_classifier(folder: Path, labels: Sequence[str], seed: int, dropout: float = 0.0) -> Any:
    """Load ``AutoModelForSequenceClassification``; a head that the checkpoint lacks is drawn from the seed.

    A normalisation noted by `lighten.models.norms` and a pattern noted by `lighten.models.attention` are put back in.

    Args:
        folder: a transformers folder.
        labels: names of the classes, in order.
        seed: of the new head.
        dropout: everywhere in the encoder and before the head.

    Raises:
        InputError: anything wrong with the folder, or its weights are those of another architecture.
    """
    from transformers import AutoModelForSequenceClassification

    names = names_of(check_model(folder), str(folder / "config.json"))
    config = quiet_config(folder)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    for key in (
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "classifier_dropout",
        "dropout",
        "attention_dropout",
        "seq_classif_dropout",
        "embedding_dropout",
        "mlp_dropout",
    ):
        if hasattr(config, key):
            setattr(config, key, dropout)
    model, new = pretrained(AutoModelForSequenceClassification, folder, config, seed)
    refuse_new(new, [*names.head_modules, *restore(model, folder)], "encoder", folder)
    restore_attention(model, folder)
    return model


def suit_attention(model: Any, longest: int) -> None:
    """Choose the attention implementation for training on texts of up to `longest` tokens.

    Plain products where all texts are short; where some are longer, batch by batch (`attention.by_length`), or, in
    layers that have windows of themselves (ModernBERT), in time linear in the length. A model with windowed attention
    keeps it.
    """
    if model.config._attn_implementation == WINDOWED:
        return
    if longest <= by_length.SHORT:
        model.set_attn_implementation("eager")
    elif by_length.fits(model.config):
        by_length.register()
        model.set_attn_implementation(by_length.NAME)
    elif is_pre_norm(model.config.to_dict()) and own_pattern(model.config) is not None:
        register()
        model.set_attn_implementation(WINDOWED)
    else:
        model.set_attn_implementation("sdpa")


def save_classifier(model: Any, folder: Path, tokenizer: Path) -> None:
    """Write the model with its tokenizer, loadable by plain transformers."""
    model.save_pretrained(folder, safe_serialization=True)
    copy_tokenizer(tokenizer, folder)

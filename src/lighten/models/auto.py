"""Any model of transformers through its Auto classes: safetensors only, no remote code, quiet; or from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lighten.errors import InputError
from lighten.models.attention.apply import restore_attention
from lighten.models.checkpoint import check_model, copy_tokenizer, read_config, read_tokenizer_config
from lighten.models.layout import LAYOUTS
from lighten.models.norms import restore
from lighten.models.pretrained import pretrained, quiet_config, refuse_new, short

KINDS = {
    "classifier": "AutoModelForSequenceClassification",
    "masked": "AutoModelForMaskedLM",
    "causal": "AutoModelForCausalLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "extractor": "AutoModelForTokenClassification",
}

AFTER_PADDING = ("roberta", "xlm-roberta", "camembert", "longformer", "mpnet")
"""Model types whose table of positions begins after the padding token's row."""
RELATIVE = ("t5", "mt5", "umt5", "longt5")
"""Model types with relative positions: what their configuration says of positions limits nothing."""
WRITING_HEADS = ("lm_head.", "final_logits_bias", "decoder.lm_head.", "decoder.cls.", "encoder.pooler.")
"""Parts of an encoder-decoder that a checkpoint of its body lacks, or that a summary does not use."""

DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "dropout",
    "attention_dropout",
    "activation_dropout",
    "seq_classif_dropout",
    "resid_pdrop",
    "embd_pdrop",
    "attn_pdrop",
    "embedding_dropout",
    "mlp_dropout",
    "dropout_rate",
)


def load_auto(
    folder: Path,
    kind: str,
    *,
    seed: int,
    dropout: float = 0.0,
    labels: Sequence[str] = (),
    multi_label: bool = False,
    from_scratch: bool = False,
) -> Any:
    """Load a model for a task; parts that the checkpoint lacks (a head) are drawn from the seed.

    Args:
        folder: a transformers folder; with `from_scratch` its config.json and tokenizer are enough.
        kind: a key of `KINDS`.
        seed: of new weights.
        dropout: everywhere the architecture has one.
        labels: names of the classes, for a classifier.
        multi_label: whether a text may have several of them.
        from_scratch: draw all weights.

    Raises:
        InputError: anything wrong with the folder, a model type without such a head, or weights of another one.
    """
    import transformers

    if from_scratch:
        read_config(folder)
        if not (folder / "tokenizer.json").is_file():
            raise InputError("no tokenizer.json (a fast tokenizer)", str(folder))
    else:
        check_model(folder)
    config = quiet_config(folder)
    if kind == "classifier":
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
        config.problem_type = "multi_label_classification" if multi_label else "single_label_classification"
    if kind == "extractor":
        config.id2label, config.label2id = {0: "chosen"}, {"chosen": 0}
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = special_tokens(folder).get("pad", 0)
    halves = [
        half for half in (getattr(config, "encoder", None), getattr(config, "decoder", None)) if half is not None
    ]
    for one in halves or [config]:
        set_dropout(one, dropout)
    home = getattr(transformers, KINDS[kind])
    if from_scratch:
        torch.manual_seed(seed)
        try:
            model = home.from_config(config, dtype=torch.float32, attn_implementation=None)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"no such model from scratch: {short(error)}", str(folder)) from None
        restore_attention(model, folder)
        return model
    model, new = pretrained(home, folder, config, seed)
    known = LAYOUTS.get(str(getattr(config, "model_type", "")))
    heads = known.head_modules if known is not None else [model.base_model_prefix + ".pooler"]
    refuse_new(_body(model, new), [*heads, *restore(model, folder)], "body", folder)
    restore_attention(model, folder)
    if getattr(model.config, "model_type", None) == "encoder-decoder":
        restore_attention(model.encoder, model.config.encoder)
    return model


def _body(model: Any, new: Sequence[str]) -> list[str]:
    """Return those of some tensors' names that belong to a model's body, which no seed may draw."""
    if model.base_model is not model:
        return [name for name in new if name.startswith(model.base_model_prefix + ".")]
    # A summariser without a body of its own inside (T5, EncoderDecoderModel): all is body but the heads that write.
    return [name for name in new if not name.startswith(WRITING_HEADS)]


def set_dropout(config: Any, dropout: float) -> None:
    """Set the dropout everywhere a configuration has one."""
    for key in DROPOUTS:
        if isinstance(getattr(config, key, None), (int, float)) or key == "classifier_dropout":
            setattr(config, key, dropout)


def special_tokens(folder: Path) -> dict[str, int]:
    """Return the ids of the special tokens by name: ``pad``, ``mask``, ``cls``, ``sep``, ``bos``, ``eos``, ``unk``.

    From tokenizer_config.json, special_tokens_map.json or the usual spellings; those that the vocabulary lacks are
    left out.
    """
    from lighten.models.checkpoint import read_object
    from lighten.models.tokens import read_tokenizer

    tokenizer = read_tokenizer(folder)
    named = dict(read_tokenizer_config(folder))
    if (folder / "special_tokens_map.json").is_file():
        named = {**read_object(folder / "special_tokens_map.json"), **named}
    usual = {
        "pad": ("[PAD]", "<pad>"),
        "mask": ("[MASK]", "<mask>"),
        "cls": ("[CLS]", "<s>"),
        "sep": ("[SEP]", "</s>"),
        "bos": ("<s>", "<|im_start|>", "<|endoftext|>"),
        "eos": ("</s>", "<|im_end|>", "<|endoftext|>", "[SEP]"),
        "unk": ("[UNK]", "<unk>"),
    }
    found: dict[str, int] = {}
    for name, spellings in usual.items():
        given = named.get(f"{name}_token")
        given = given.get("content") if isinstance(given, dict) else given
        for token in ([given] if isinstance(given, str) else []) + list(spellings):
            number = tokenizer.token_to_id(token)
            if number is not None:
                found[name] = number
                break
    return found


def save_auto(model: Any, folder: Path, tokenizer: Path) -> None:
    """Write the model with its tokenizer, loadable by plain transformers."""
    model.save_pretrained(folder, safe_serialization=True)
    copy_tokenizer(tokenizer, folder)


def positions_of(model: Any) -> int | None:
    """Return how many tokens the model can take (an encoder-decoder: can read); None where nothing limits it."""
    return _positions(getattr(model.config, "encoder", None) or model.config, "max_encoder_position_embeddings")


def written_positions(model: Any) -> int | None:
    """Return how many tokens an encoder-decoder can write, the start included; None where nothing limits it."""
    return _positions(getattr(model.config, "decoder", None) or model.config, "max_decoder_position_embeddings")


def _positions(config: Any, own: str) -> int | None:
    if config.model_type in RELATIVE:
        return None
    for name in ("max_position_embeddings", "n_positions", "max_source_positions", own):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            if config.model_type not in AFTER_PADDING:
                return value
            padding = getattr(config, "pad_token_id", None)
            return value - 1 - (1 if padding is None or config.model_type == "mpnet" else int(padding))
    return None


def first_token_global(model: Any) -> bool:
    """Return whether a model wants to be told that its first token sees all others and is seen by all.

    LED attends within windows and has global attention where a mask says so; the first token is what its authors
    take for summaries.
    """
    return bool(model.config.model_type == "led")


def hidden_width(model: Any) -> int:
    """Return the hidden width of a model, 384 where its configuration does not say."""
    config = getattr(model, "config", None)
    config = getattr(config, "encoder", None) or config
    for name in ("hidden_size", "d_model", "dim", "n_embd"):
        if isinstance(getattr(config, name, None), int):
            return int(getattr(config, name))
    return 384

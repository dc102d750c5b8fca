"""An encoder-decoder whose both halves start from one encoder (Rothe et al. 2020, BERT2BERT).

The decoder is the same encoder with a causal mask, a head over the vocabulary and cross attention, which is new.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from lighten.errors import InputError
from lighten.models.attention.apply import restore_attention
from lighten.models.attention.pattern import NOTE
from lighten.models.auto import set_dropout, special_tokens
from lighten.models.checkpoint import check_model
from lighten.models.pretrained import pretrained, quiet_config, refuse_new, short

NEW_IN_DECODER = ("crossattention", "cls", "lm_head", "generator_predictions", "generator_lm_head")
"""Parts of the decoder that an encoder lacks: they are drawn from the seed."""
POOLERS = ("pooler",)


def load_from_encoder(folder: Path, seed: int, dropout: float = 0.0) -> Any:
    """Make an ``EncoderDecoderModel`` of transformers from the checkpoint of an encoder.

    Args:
        folder: a transformers folder with weights: BERT, RoBERTa, ELECTRA and their relatives. Windowed attention
            noted there stays in the encoder; the decoder attends to all it has written.
        seed: of the cross attention, and of the head where the checkpoint has none.
        dropout: everywhere the architecture has one.

    Raises:
        InputError: anything wrong with the folder, an encoder whose type cannot be a decoder with cross attention,
            or a tokenizer without tokens to begin and end with.
    """
    from transformers import AutoModel, AutoModelForCausalLM, EncoderDecoderConfig, EncoderDecoderModel

    check_model(folder)
    special = special_tokens(folder)
    first, last = special.get("cls", special.get("bos")), special.get("sep", special.get("eos"))
    if first is None or last is None:
        raise InputError(
            "a summary needs tokens to begin and end with; the tokenizer has no cls or no sep", str(folder)
        )
    config = quiet_config(folder)
    set_dropout(config, dropout)
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = special.get("pad", 0)
    writing = copy.deepcopy(config)
    writing.is_decoder, writing.add_cross_attention = True, True
    if getattr(writing, NOTE, None) is not None:
        # The note is the encoder's: a summary is short, and each of its tokens sees all before it.
        delattr(writing, NOTE)
    encoder, new = pretrained(AutoModel, folder, config, seed)
    refuse_new(new, POOLERS, "encoder", folder)
    decoder = _decoder(AutoModelForCausalLM, folder, writing, seed)
    for half in (encoder, decoder):
        half.config.name_or_path = ""  # a folder of this machine would be kept in config.json
    both = EncoderDecoderConfig.from_encoder_decoder_configs(
        encoder.config,
        decoder.config,
        pad_token_id=config.pad_token_id,
        decoder_start_token_id=first,
        eos_token_id=last,
    )
    # The very objects: transformers copies them for the halves but not for the layers, which then hear of no change.
    both.encoder, both.decoder = encoder.config, decoder.config
    model = EncoderDecoderModel(config=both, encoder=encoder, decoder=decoder)
    restore_attention(model.encoder, folder)
    return model


def _decoder(home: Any, folder: Path, config: Any, seed: int) -> Any:
    kind = str(getattr(config, "model_type", ""))
    with torch.device("meta"):
        try:
            empty = home.from_config(config, attn_implementation=None)
        except Exception as error:  # no such head for the type, or a configuration it does not take
            raise InputError(f"model type {kind!r} cannot write: {short(error)}", str(folder)) from None
    if not any(".crossattention." in name for name, _ in empty.named_parameters()):
        raise InputError(f"model type {kind!r} has no cross attention; take BERT, RoBERTa or a relative", str(folder))
    decoder, new = pretrained(home, folder, config, seed)
    body = [name for name in new if not any(part in NEW_IN_DECODER for part in name.split("."))]
    refuse_new(body, (), "decoder", folder)
    return decoder

"""Tiny language models of many kinds, every number random, norms and biases too."""

from __future__ import annotations

from typing import Any

VOCABULARY = 97
MASKED = ("bert", "roberta", "electra", "distilbert", "modernbert")
CAUSAL = ("llama", "gpt2", "gemma2", "granite")
SEQUENCES = ("bart", "t5")


def language_model(kind: str, seed: int = 0, **changes: Any) -> Any:
    """Return a model of width 32 and two layers, in evaluation mode."""
    import torch
    import transformers

    common: dict[str, Any] = {"vocab_size": VOCABULARY, "num_hidden_layers": 2, "hidden_size": 32}
    common |= {"num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 64, "pad_token_id": 0}
    special = {"bos_token_id": 1, "eos_token_id": 2}
    options: dict[str, dict[str, Any]] = {
        "bert": common,
        "roberta": {**common, "pad_token_id": 1, **special},
        "electra": {**common, "embedding_size": 16},
        "distilbert": {
            **{"vocab_size": VOCABULARY, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
            "max_position_embeddings": 64,
        },
        "modernbert": {**common, **special, "cls_token_id": 1, "sep_token_id": 2},
        "llama": {**common, **special},
        "gpt2": {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, **special},
        # What comes after the head: a cap on the logits, a scale.
        "gemma2": {**common, **special, "num_key_value_heads": 4, "head_dim": 8, "final_logit_softcapping": 5.0},
        "granite": {**common, **special, "logits_scaling": 3.0},
        "bart": {
            **{"vocab_size": VOCABULARY, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2},
            **{"encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 64},
            **{"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "decoder_start_token_id": 2, "pad_token_id": 1},
        },
        "t5": {
            **{"vocab_size": VOCABULARY, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4},
            **{"decoder_start_token_id": 0, "pad_token_id": 0},
        },
    }
    auto = {**dict.fromkeys(MASKED, "MaskedLM"), **dict.fromkeys(CAUSAL, "CausalLM")}.get(kind, "Seq2SeqLM")
    transformers.utils.logging.set_verbosity_error()
    config = transformers.AutoConfig.for_model(kind, **{**options[kind], **changes})
    torch.manual_seed(seed)
    model = getattr(transformers, f"AutoModelFor{auto}").from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model

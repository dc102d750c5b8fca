"""Which tensors a Llama-type model has in a GGUF file: their names here and in transformers, and their shapes."""

from __future__ import annotations

from typing import Any

from lighten.errors import InputError
from lighten.models.gguf.reader import GgufFile

_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
EMBEDDINGS = "token_embd.weight"
_WHOLE = {
    EMBEDDINGS: "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def check_tensors(file: GgufFile, config: dict[str, Any]) -> None:
    """Refuse tensors without a place in the model or of another shape, and places without a tensor.

    Args:
        file: an open file.
        config: content of config.json by its head; ``vocab_size`` is added.

    Raises:
        InputError: naming the tensor.
    """
    where, kind = str(file.path), config["model_type"]
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    queries, keys = (config["head_dim"] * config[f"num_{part}_heads"] for part in ("attention", "key_value"))
    shapes = {"attn_norm": (hidden,), "attn_q": (queries, hidden), "attn_k": (keys, hidden), "attn_v": (keys, hidden)}
    shapes |= {"attn_output": (hidden, queries), "ffn_norm": (hidden,), "ffn_gate": (inner, hidden)}
    shapes |= {"ffn_up": (inner, hidden), "ffn_down": (hidden, inner)}
    words = file.entries[EMBEDDINGS].shape if EMBEDDINGS in file.entries else ()
    config["vocab_size"] = words[0] if words else 0
    whole = {EMBEDDINGS: (config["vocab_size"], hidden), "output_norm.weight": (hidden,)}
    whole["output.weight"] = whole[EMBEDDINGS]
    layers = config["num_hidden_layers"]
    numbers = {str(index) for index in range(min(layers, len(file.entries)))}
    for name, entry in file.entries.items():
        first, _, rest = name.partition(".")
        layer, _, part = rest.partition(".")
        stem, _, end = part.partition(".")
        if name in whole:
            wanted: tuple[int, ...] = whole[name]
        elif first == "blk" and layer in numbers and stem in shapes:
            wanted = shapes[stem]
            if end == "bias" and stem.startswith("attn_") and len(wanted) > 1:
                wanted = wanted[:1]
            elif end != "weight":
                raise InputError(f"tensor {name} has no place in a {kind}", where)
        else:
            raise InputError(f"tensor {name} has no place in a {kind}", where)
        if entry.shape != wanted:
            raise InputError(f"tensor {name} has the shape {entry.shape}, but the head says {wanted}", where)
    if layers * len(shapes) > len(file.entries):
        raise InputError(f"the head says {layers} layers, but tensors of them are missing", where)
    needed = [EMBEDDINGS, "output_norm.weight", *(f"blk.{i}.{stem}.weight" for i in range(layers) for stem in shapes)]
    for name in needed:
        if name not in file.entries:
            raise InputError(f"tensor {name} is missing", where)


def name_of(name: str) -> str:
    """Return transformers' name of a tensor that has a place."""
    if name in _WHOLE:
        return _WHOLE[name]
    _, layer, stem, end = name.split(".")
    return f"model.layers.{layer}.{_LAYER[stem]}.{end}"

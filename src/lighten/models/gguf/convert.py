"""From a GGUF file to an ordinary transformers folder: config.json, model.safetensors, tokenizer.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.checkpoint import write_checkpoint
from lighten.models.gguf.reader import GgufFile
from lighten.models.gguf.tokenizer import write_tokenizer
from lighten.models.layout import Array
from lighten.pipeline.files import write_json

ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}
"""GGUF's architectures that are read; Mistral is a llama there."""
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
_WHOLE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def convert(gguf_file: Path, target_folder: Path) -> dict[str, Any]:
    """Read a Llama-type model out of a GGUF file; all numbers become float32.

    Args:
        gguf_file: a file, or a folder that holds exactly one.
        target_folder: made where it is missing; files in it are replaced.

    Returns:
        What was read: ``architecture``, ``types`` (tensors per stored type), ``parameters``.

    Raises:
        InputError: damaged, of another architecture, or with tensors or a tokenizer that are not read.
    """
    file = GgufFile(find(gguf_file))
    config = _config(file)
    state = {}
    for name, tensor in file.tensors():
        new = _name(name)
        if new is None:
            raise InputError(f"tensor {name} has no place in a {config['model_type']}", str(file.path))
        state[new] = _in_order(config, new, tensor)
    target_folder.mkdir(parents=True, exist_ok=True)
    special = write_tokenizer(file.values, target_folder, config["max_position_embeddings"], str(file.path))
    config |= {f"{role}_token_id": number for role, number in special.items() if role != "unk"}
    config["tie_word_embeddings"] = "lm_head.weight" not in state
    config["vocab_size"] = len(state["model.embed_tokens.weight"])
    write_checkpoint(target_folder, config, state, tokenizer=None)
    ends = {f"{role}_token_id": special[role] for role in ("bos", "eos", "pad") if role in special}
    write_json(target_folder / "generation_config.json", ends)
    from lighten.models.gguf.blocks import KINDS

    types: dict[str, int] = {}
    for entry in file.entries.values():
        types[KINDS[entry.kind].name] = types.get(KINDS[entry.kind].name, 0) + 1
    parameters = sum(int(tensor.size) for tensor in state.values())
    return {"architecture": config["model_type"], "types": types, "parameters": parameters}


def find(path: Path) -> Path:
    """Return the GGUF file that a path means.

    Raises:
        InputError: a folder with none or with several.
    """
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.gguf"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise InputError(f"expected one .gguf file in the folder; found {names}", str(path))
    return found[0]


def _config(file: GgufFile) -> dict[str, Any]:
    kind = file.values.get("general.architecture")
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise InputError(f"the architecture {kind!r} is not read; read are {known}", str(file.path))

    def get(key: str, *default: Any) -> Any:
        found = file.values.get(f"{kind}.{key}", *default)
        if found is None:
            raise InputError(f"the head lacks {kind}.{key}", str(file.path))
        return found

    if file.values.get(f"{kind}.rope.scaling.type", "none") != "none" or "rope_freqs.weight" in file.entries:
        raise InputError("scaled rotary positions are not read out of GGUF", str(file.path))
    heads = int(get("attention.head_count"))
    return {
        "model_type": kind,
        "architectures": [ARCHITECTURES[kind]],
        "hidden_size": int(get("embedding_length")),
        "num_hidden_layers": int(get("block_count")),
        "num_attention_heads": heads,
        "num_key_value_heads": int(get("attention.head_count_kv", heads)),
        "head_dim": int(get("attention.key_length", int(get("embedding_length")) // heads)),
        "intermediate_size": int(get("feed_forward_length")),
        "max_position_embeddings": int(get("context_length")),
        "rms_norm_eps": round(float(get("attention.layer_norm_rms_epsilon")), 12),
        "rope_theta": float(get("rope.freq_base", 10000.0)),
        "hidden_act": "silu",
        "attention_bias": kind == "llama" and "blk.0.attn_q.bias" in file.entries,
        "initializer_range": 0.02,
    }


def _name(name: str) -> str | None:
    """Return transformers' name of a tensor."""
    if name in _WHOLE:
        return _WHOLE[name]
    parts = name.split(".")
    if len(parts) != 4 or parts[0] != "blk" or parts[2] not in _LAYER or not parts[1].isdigit():
        return None
    return f"model.layers.{parts[1]}.{_LAYER[parts[2]]}.{parts[3]}"


def _in_order(config: dict[str, Any], name: str, tensor: Array) -> Array:
    """Undo the order of rows in queries and keys of a llama.

    llama.cpp rotates neighbours (0, 1), (2, 3), ...; transformers the first half of a head against its second.
    """
    if config["model_type"] != "llama" or ".self_attn." not in name:
        return tensor
    part = name.split(".")[-2]
    if part not in ("q_proj", "k_proj"):
        return tensor
    heads = config["num_attention_heads" if part == "q_proj" else "num_key_value_heads"]
    pairs = tensor.reshape(heads, tensor.shape[0] // heads // 2, 2, *tensor.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(tensor.shape))

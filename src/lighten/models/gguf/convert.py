"""From a GGUF file to an ordinary transformers folder: config.json, model.safetensors, tokenizer.json."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.checkpoint import write_checkpoint
from lighten.models.gguf.blocks import KINDS
from lighten.models.gguf.reader import GgufFile
from lighten.models.gguf.tensors import check_tensors, name_of
from lighten.models.gguf.tokenizer import write_tokenizer
from lighten.models.layout import Array
from lighten.pipeline.files import write_json

ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}
"""GGUF's architectures that are read; Mistral is a llama there."""


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
    try:
        return _convert(file, target_folder)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # A head may say anything: what `_config` does not look at ends here.
        said = f"{type(error).__name__}: {error}"
        raise InputError(f"damaged, or no model of its architecture ({said})", str(file.path)) from error


def _convert(file: GgufFile, target_folder: Path) -> dict[str, Any]:
    where, config = str(file.path), _config(file)
    check_tensors(file, config)
    state = {}
    for name, tensor in file.tensors():
        new = name_of(name)
        state[new] = _in_order(config, new, tensor)
    target_folder.mkdir(parents=True, exist_ok=True)
    try:
        positions, rows = config["max_position_embeddings"], config["vocab_size"]
        special = write_tokenizer(file.values, target_folder, positions, rows, where)
    except InputError:
        raise
    except Exception as error:  # the kind that the package tokenizers raises
        raise InputError(f"the tokenizer cannot be made: {error}", where) from error
    config |= {f"{role}_token_id": number for role, number in special.items() if role != "unk"}
    config["tie_word_embeddings"] = "lm_head.weight" not in state
    write_checkpoint(target_folder, config, state, tokenizer=None)
    ends = {f"{role}_token_id": special[role] for role in ("bos", "eos", "pad") if role in special}
    write_json(target_folder / "generation_config.json", ends)
    types = Counter(KINDS[entry.kind].name for entry in file.entries.values())
    parameters = sum(int(tensor.size) for tensor in state.values())
    return {"architecture": config["model_type"], "types": dict(types), "parameters": parameters}


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

    def whole(key: str, *default: int) -> int:
        found = get(key, *default)
        if type(found) is not int or found < 1:
            raise InputError(f"{kind}.{key} must be a whole number above zero; got {_short(found)}", str(file.path))
        return found

    def number(key: str, *default: float) -> float:
        found = get(key, *default)
        if type(found) not in (int, float) or not 0 < found < math.inf:
            raise InputError(f"{kind}.{key} must be a number above zero; got {_short(found)}", str(file.path))
        return float(found)

    heads, hidden = whole("attention.head_count"), whole("embedding_length")
    return {
        "model_type": kind,
        "architectures": [ARCHITECTURES[kind]],
        "hidden_size": hidden,
        "num_hidden_layers": whole("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": whole("attention.head_count_kv", heads),
        "head_dim": whole("attention.key_length", hidden // heads),
        "intermediate_size": whole("feed_forward_length"),
        "max_position_embeddings": whole("context_length"),
        "rms_norm_eps": round(number("attention.layer_norm_rms_epsilon"), 12),
        "rope_theta": number("rope.freq_base", 10000.0),
        "hidden_act": "silu",
        "attention_bias": kind == "llama" and "blk.0.attn_q.bias" in file.entries,
        "initializer_range": 0.02,
    }


def _short(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= 60 else f"{said[:57]}..."


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

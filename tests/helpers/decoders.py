"""Tiny Llama-type checkpoints with a byte-level tokenizer, and GGUF files of them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXTS = [
    "the film was a triumph of the year",
    "a dull film of 1984 and 12 more",
    "the plot, the scene and the sea",
] * 4
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_tokenizer() -> Any:
    """Return a byte-level BPE tokenizer (digits one by one) with some merges."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=[AddedToken(word, special=True, normalized=False) for word in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def write_tokenizer(folder: Path) -> int:
    """Write the tokenizer's files; returns its number of pieces."""
    import json

    tokenizer = byte_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"bos_token": SPECIAL[1], "eos_token": SPECIAL[2], "pad_token": SPECIAL[2], "unk_token": SPECIAL[0]}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, **named}))
    return int(tokenizer.get_vocab_size())


def make_decoder(kind: str = "llama", seed: int = 0, vocabulary: int = 97, **changes: Any) -> Any:
    """Return a model of two layers, width 64, two heads of queries and one of keys; every number random."""
    import torch
    import transformers

    options = {
        "vocab_size": vocabulary,
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "intermediate_size": 96,
        "max_position_embeddings": 64,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "tie_word_embeddings": True,
        **({"sliding_window": None} if kind == "mistral" else {}),
        **changes,
    }
    transformers.utils.logging.set_verbosity_error()
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(kind, **options)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def write_decoder_checkpoint(folder: Path, kind: str = "llama", seed: int = 0, **changes: Any) -> Path:
    """Write a checkpoint folder with its tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    make_decoder(kind, seed, write_tokenizer(folder), **changes).save_pretrained(folder)
    return folder


def logits_of(folder: Path, ids: Any) -> Any:
    """Return transformers' logits [tokens, vocabulary] for ids [tokens]."""
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(torch.as_tensor(np.asarray(ids))[None]).logits[0].numpy()


def q4_1(numbers: Any) -> bytes:
    """Encode rows of numbers in ggml's Q4_1, number by number."""
    out = b""
    for block in np.asarray(numbers, np.float32).reshape(-1, 32):
        low = np.float16(block.min())
        scale = np.float16((block.max() - block.min()) / 15)
        steps = [int(np.clip(round((float(x) - float(low)) / float(scale or 1)), 0, 15)) for x in block]
        packed = bytes(steps[i] | (steps[i + 16] << 4) for i in range(16))
        out += struct.pack("<ee", scale, low) + packed
    return out


def q8_0(numbers: Any) -> bytes:
    """Encode rows of numbers in ggml's Q8_0."""
    out = b""
    for block in np.asarray(numbers, np.float32).reshape(-1, 32):
        scale = np.float16(np.abs(block).max() / 127)
        out += struct.pack("<e", scale) + np.round(block / np.float32(scale or 1)).astype(np.int8).tobytes()
    return out


def f32(numbers: Any) -> bytes:
    """Encode numbers as they are."""
    return np.asarray(numbers, "<f4").tobytes()


ENCODERS = {"F32": (0, f32), "Q4_1": (3, q4_1), "Q8_0": (8, q8_0)}


def write_gguf(path: Path, values: dict[str, Any], tensors: dict[str, tuple[str, Any]]) -> Path:
    """Write a GGUF file of version 3: values, and tensors as (type, numbers)."""

    def text(word: str) -> bytes:
        return struct.pack("<Q", len(word.encode())) + word.encode()

    def value(thing: Any) -> bytes:
        if isinstance(thing, list):
            inner = value(thing[0])
            return struct.pack("<IIQ", 9, struct.unpack("<I", inner[:4])[0], len(thing)) + b"".join(
                value(item)[4:] for item in thing
            )
        if isinstance(thing, str):
            return struct.pack("<I", 8) + text(thing)
        if isinstance(thing, bool):
            return struct.pack("<I?", 7, thing)
        return struct.pack("<If", 6, thing) if isinstance(thing, float) else struct.pack("<II", 4, thing)

    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    head += b"".join(text(key) + value(thing) for key, thing in values.items())
    data = b""
    for name, (kind, numbers) in tensors.items():
        shape = np.asarray(numbers).shape
        number, encode = ENCODERS[kind]
        head += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape[::-1])
        head += struct.pack("<IQ", number, len(data))
        data += encode(numbers)
        data += b"\0" * (-len(data) % 32)
    path.write_bytes(head + b"\0" * (-len(head) % 32) + data)
    return path


def gguf_of(path: Path, model: Any, kind: str = "F32", **changes: Any) -> Path:
    """Write a transformers model as llama.cpp's converter does; matrices as `kind`, the rest in F32."""
    import json

    config, arch = model.config, model.config.model_type
    heads, keys = config.num_attention_heads, config.num_key_value_heads
    names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.o_proj": "attn_output"}
    names |= {f"self_attn.{x}_proj": f"attn_{x}" for x in "qkv"} | {
        f"mlp.{x}_proj": f"ffn_{x}" for x in ("gate", "up", "down")
    }
    whole = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    tensors = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        stem, end = name.rsplit(".", 1)
        numbers = tensor.numpy()
        if arch == "llama" and ("q_proj" in name or "k_proj" in name):
            count = heads if "q_proj" in name else keys
            numbers = numbers.reshape(count, 2, len(numbers) // count // 2, *numbers.shape[1:]).swapaxes(1, 2)
            numbers = numbers.reshape(tensor.shape)
        if stem in whole:
            new = whole[stem]
        else:
            index, part = stem.removeprefix("model.layers.").split(".", 1)
            new = f"blk.{index}.{names[part]}"
        tensors[f"{new}.{end}"] = (kind if numbers.ndim == 2 else "F32", numbers)
    tokenizer = json.loads(byte_tokenizer().to_str())
    words = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in tokenizer["model"]["merges"]]
    values = {
        "general.architecture": arch,
        f"{arch}.embedding_length": config.hidden_size,
        f"{arch}.block_count": config.num_hidden_layers,
        f"{arch}.attention.head_count": heads,
        f"{arch}.attention.head_count_kv": keys,
        f"{arch}.attention.key_length": config.head_dim,
        f"{arch}.feed_forward_length": config.intermediate_size,
        f"{arch}.context_length": config.max_position_embeddings,
        f"{arch}.attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        f"{arch}.rope.freq_base": 10000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": words,
        "tokenizer.ggml.token_type": [3 if word in SPECIAL else 1 for word in words],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.padding_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.chat_template": TEMPLATE,
        **changes,
    }
    return write_gguf(path, {key: thing for key, thing in values.items() if thing is not None}, tensors)


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama checkpoint for the whole session: never write into it."""
    # This one writes a text of many different tokens; most write the same one over and over.
    return write_decoder_checkpoint(tmp_path_factory.mktemp("decoders") / "llama", tie_word_embeddings=False)


@pytest.fixture(scope="session")
def decoder_folder(decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its exported folder in fp32: never write into it."""
    from lighten.export.decoder_bundle import Generating, write_decoder

    target = tmp_path_factory.mktemp("decoders") / "folder"
    target.mkdir()
    write_decoder(target, decoder, Generating(max_tokens=64, threads=1), samples=["the film", "a dull"])
    return target

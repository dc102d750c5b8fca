"""Writes the model folder of a language model: the layout that transformers, transformers.js and lighten read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from lighten.errors import InputError
from lighten.export.bundle import GRAPH, files_of, link
from lighten.export.decoder import WeightBits, decoder_graph
from lighten.models.checkpoint import (
    WEIGHTS,
    copy_tokenizer,
    read_config,
    read_object,
    read_state,
    read_tokenizer_config,
)
from lighten.models.decoder.formats import FORMATS, QUANTISE
from lighten.models.decoder.view import decoder_from_state
from lighten.pipeline.files import write_json
from lighten.runtime.folder import LANGUAGE

EXTERNAL = 1_500_000_000
"""Bytes of weights from which on they lie beside the graph: protobuf ends at two gigabytes."""
GENERATION = "generation_config.json"


@dataclass(frozen=True)
class Generating:
    """How the model will be used: longest text in tokens (prompt and answer), threads, whether they spin."""

    max_tokens: int
    threads: int
    spinning: bool = False


def write_decoder(
    target: Path,
    checkpoint: Path,
    generating: Generating,
    *,
    bits: WeightBits | None = None,
    plan: Sequence[dict[str, Any]] = (),
    samples: Sequence[str] = (),
    weights: bool = True,
) -> None:
    """Write a model folder.

    Args:
        target: existing, empty folder.
        checkpoint: a causal language model.
        generating: see there; `max_tokens` is cut to what the model takes.
        bits: how weights are stored; None for what the checkpoint's ``quantise.json`` asks for.
        plan: the steps that made the model, for the record.
        samples: texts whose next token is stored for the self-test.
        weights: copy ``model.safetensors`` as well, for further training.
    """
    config = read_config(checkpoint)
    decoder = decoder_from_state(config, read_state(checkpoint), generating.max_tokens)
    graph = decoder_graph(decoder, bits if bits is not None else bits_of(checkpoint))
    (target / "onnx").mkdir()
    outside = graph.ByteSize() > EXTERNAL
    options: dict[str, Any] = {"save_as_external_data": True, "location": "model.onnx_data"} if outside else {}
    onnx.save(graph, target / GRAPH, **options)
    settings = {"dtype": "fp32", "use_external_data_format": outside, "kv_cache_dtype": "float32"}
    write_json(target / "config.json", {**config, "transformers.js_config": settings})
    copy_tokenizer(checkpoint, target)
    write_json(
        target / "tokenizer_config.json",
        {**read_tokenizer_config(checkpoint), "model_max_length": len(decoder.cosines)},
    )
    for name in (GENERATION, "chat_template.jinja"):
        if (checkpoint / name).is_file():
            link(checkpoint / name, target / name)
    if weights and (checkpoint / WEIGHTS).is_file():
        link(checkpoint / WEIGHTS, target / WEIGHTS)
    description = {
        "format": 1,
        "task": LANGUAGE,
        "graph": GRAPH,
        "preprocessing": {
            "max_tokens": len(decoder.cosines),
            "pad_token_id": int(config.get("pad_token_id") or 0),
            "lowercase": None,
        },
        "generation": {"end_token_ids": end_token_ids(checkpoint, config)},
        "runtime": {"threads": generating.threads, "spinning": generating.spinning},
        "plan": list(plan),
        "files": files_of(target),
        "self_test": [],
    }
    write_json(target / "lighten.json", description)
    if samples:
        description["self_test"] = _expectations(target, list(samples))
        write_json(target / "lighten.json", description)


def bits_of(checkpoint: Path) -> WeightBits:
    """Return how weights shall be stored: fp32, or as the step ``quantise`` noted.

    Embeddings and head are in 8 bits unless the note has ``head_bits``.

    Raises:
        InputError: a format that a decoder does not have.
    """
    file = checkpoint / QUANTISE
    if not file.is_file():
        return WeightBits()
    note = read_object(file)
    body = FORMATS.get(str(note.get("format")))
    if body is None:
        known = ", ".join(FORMATS)
        raise InputError(f"a decoder's weights can be {known}, not {note.get('format')!r}", str(file))
    return WeightBits(body, int(note.get("head_bits", 8)), int(note.get("block", 32)), bool(note.get("whole", False)))


def end_token_ids(checkpoint: Path, config: Mapping[str, Any]) -> list[int]:
    """Return the ids that end a text: generation_config.json says it, else config.json."""
    file = checkpoint / GENERATION
    found = read_object(file).get("eos_token_id") if file.is_file() else None
    found = config.get("eos_token_id") if found is None else found
    return [found] if isinstance(found, int) else [int(item) for item in found or []]


def _expectations(target: Path, samples: list[str]) -> list[dict[str, Any]]:
    from lighten.runtime import load_generator

    model = load_generator(target)
    cases = []
    for text in samples:
        ids = model.encode(text)
        token = int(model.session.logits(ids)[-1].argmax())
        value = float(model.log_probabilities(np.append(ids, token))[-1])
        cases.append({"text": text, "token": token, "log_probability": round(value, 5)})
    return cases

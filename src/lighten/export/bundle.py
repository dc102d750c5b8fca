"""Writes the model folder: the layout that transformers, ONNX Runtime, transformers.js and TEI all read.

The graph to serve is always ``onnx/model.onnx``, int8 or not: text-embeddings-inference looks nowhere else,
and ``transformers.js_config`` tells transformers.js to take that name too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from lighten.models import ngrams, static
from lighten.models.checkpoint import WEIGHTS, copy_tokenizer, read_config, read_tokenizer_config
from lighten.pipeline.files import checksum, write_json
from lighten.pipeline.step import digest
from lighten.runtime import load
from lighten.runtime.frequencies import FILE as FREQUENCIES
from lighten.runtime.long_texts import Long

GRAPH = "onnx/model.onnx"
TRUNCATE = Long()
TRAINING_FILES = (WEIGHTS, "frozen.safetensors", "model.sparse.safetensors", ngrams.FILE)


@dataclass(frozen=True)
class Serving:
    """How the model will be served: classes, longest input, threads, whether waiting threads spin, longer texts."""

    labels: tuple[str, ...]
    max_tokens: int
    threads: int
    spinning: bool = False
    long: Long = TRUNCATE

    def to_dict(self) -> dict[str, Any]:
        """Return everything that the exported folder depends on, JSON-ready."""
        frequencies = self.long.frequencies
        said = {**self.long.to_dict(), "frequencies": None if frequencies is None else digest(frequencies.to_dict())}
        return {**vars(self), "labels": list(self.labels), "long": said}


def write_bundle(
    target: Path,
    graph: onnx.ModelProto,
    checkpoint: Path,
    serving: Serving,
    *,
    plan: Sequence[dict[str, Any]] = (),
    samples: Sequence[str] = (),
    weights: bool = True,
) -> None:
    """Write a model folder.

    Args:
        target: existing, empty folder.
        graph: to serve.
        checkpoint: where config, tokenizer and weights come from.
        serving: see there.
        plan: the steps that made the model, for the record.
        samples: texts whose logits are stored for the self-test.
        weights: copy ``model.safetensors`` as well, the head of a frozen encoder and packed sparse weights: for
            further training, not needed to serve.
    """
    (target / "onnx").mkdir()
    onnx.save(graph, target / GRAPH)
    config = _config(checkpoint, serving)
    write_json(target / "config.json", config)
    copy_tokenizer(checkpoint, target)
    settings = read_tokenizer_config(checkpoint)
    settings["model_max_length"] = serving.max_tokens
    settings["padding_side"] = settings["truncation_side"] = "right"  # as the graph and the training have it
    write_json(target / "tokenizer_config.json", settings)
    for name in TRAINING_FILES if weights else ():
        if (checkpoint / name).is_file():
            link(checkpoint / name, target / name)
    long = serving.long
    if long.frequencies is not None:
        write_json(target / FREQUENCIES, long.frequencies.to_dict())
    # A version that does not know the key truncates.
    said = {} if long.strategy == "truncate" else {"long": long.to_dict()}
    description = {
        "format": 1,
        "task": "text-classification",
        "labels": list(serving.labels),
        "graph": GRAPH,
        "preprocessing": {
            "max_tokens": serving.max_tokens,
            "pad_token_id": int(config.get("pad_token_id") or 0),
            "lowercase": None,
            **said,
        },
        "runtime": {"threads": serving.threads, "spinning": serving.spinning},
        "plan": list(plan),
        "files": files_of(target),
        "self_test": [],
    }
    if (checkpoint / static.FILE).is_file():
        description["note"] = static.NOTE
    elif (checkpoint / ngrams.FILE).is_file():
        description["note"] = ngrams.NOTE
    write_json(target / "lighten.json", description)
    if samples:
        description["self_test"] = _expectations(target, list(samples))
        write_json(target / "lighten.json", description)


def _config(checkpoint: Path, serving: Serving) -> dict[str, Any]:
    config = read_config(checkpoint)
    # DistilBERT says dim and n_layers; TEI wants the common names beside them.
    for common, own in (("hidden_size", "dim"), ("num_hidden_layers", "n_layers")):
        if own in config:
            config.setdefault(common, config[own])
    return {
        **config,
        "id2label": {str(i): label for i, label in enumerate(serving.labels)},
        "label2id": {label: i for i, label in enumerate(serving.labels)},
        "problem_type": "single_label_classification",
        "transformers.js_config": {"dtype": "fp32", "use_external_data_format": False},
    }


def files_of(target: Path) -> dict[str, dict[str, Any]]:
    """Return size, SHA-256 and role of every file in a model folder."""
    found = {}
    for file in sorted(target.rglob("*")):
        if file.is_file():
            name = file.relative_to(target).as_posix()
            role = "training" if name in TRAINING_FILES else "serving"
            found[name] = {"bytes": file.stat().st_size, "sha256": checksum(file), "role": role}
    return found


def _expectations(target: Path, samples: list[str]) -> list[dict[str, Any]]:
    model = load(target)
    logits = [model.logits(text)[0] for text in samples]  # one by one: int8 scales its activations per call
    return [
        {"text": text, "logits": [round(float(x), 5) for x in row], "label": model.labels[int(np.argmax(row))]}
        for text, row in zip(samples, logits, strict=True)
    ]


def link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system does not."""
    try:
        os.link(source.resolve(), target)  # a link to a symbolic link would break in another folder
    except OSError:
        shutil.copyfile(source, target)

"""Puts the graph of a model that chooses sentences beside its checkpoint: the folder then runs without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from lighten.errors import InputError
from lighten.export.bundle import GRAPH, files_of
from lighten.export.draw import Graph
from lighten.export.drawing import Drawing
from lighten.export.states import draw_head, draw_states
from lighten.models.checkpoint import read_config, read_state
from lighten.models.encoder import Dense, Encoder, encoder_from_state
from lighten.models.fold import fold_norms
from lighten.models.layout import LAYOUTS
from lighten.pipeline.files import read_json, write_json
from lighten.runtime.extract import Extractor
from lighten.runtime.folder import SUMMARIES, read_folder

HEAD = "classifier"
"""What transformers calls the layer on every token."""


def can_export(checkpoint: Path) -> bool:
    """Whether `add_scoring_graph` knows the model in a folder."""
    return read_config(checkpoint).get("model_type") in LAYOUTS


def scoring_graph(encoder: Encoder) -> onnx.ModelProto:
    """Draw an encoder whose head says one number of every token.

    Inputs are ``input_ids`` and ``attention_mask`` [batch, tokens] in int64, padding on the right; the output is
    ``scores`` [batch, tokens], meaningless for padding.
    """
    if encoder.affine:
        encoder = fold_norms(encoder, gains=True)
    graph = Graph()
    draw = Drawing(graph, encoder, graph.op("Cast", "attention_mask", to=TensorProto.INT32))
    scores = draw_head(draw, draw_states(draw, first_only=False))
    scores = graph.op("Squeeze", scores, graph.weight("last", np.array([2], np.int64)))
    return graph.model(["input_ids", "attention_mask"], scores, "scores", "tokens")


def add_scoring_graph(
    folder: Path, *, max_tokens: int, words: int, no_repeat: int, threads: int = 1, samples: Sequence[str] = ()
) -> None:
    """Draw the graph of a checkpoint into its folder, and describe it in ``lighten.json``.

    Args:
        folder: a checkpoint of ``AutoModelForTokenClassification`` with one class, and its tokenizer.
        max_tokens: of a piece, special ones included.
        words: of a summary.
        no_repeat: see `lighten.runtime.choosing.choose_sentences`.
        threads: of one summary.
        samples: texts whose scores are stored for the self-test.

    Raises:
        InputError: no such head.
    """
    config, state = read_config(folder), read_state(folder)
    weight = state.get(f"{HEAD}.weight")
    if weight is None or weight.shape[0] != 1:
        raise InputError("there is no layer that says one number of every token", str(folder))
    encoder = encoder_from_state(config, state)
    if encoder.pre_norm is None:  # else its own head, which is that of a classifier
        encoder = replace(encoder, head=(Dense(np.ascontiguousarray(weight.T), state[f"{HEAD}.bias"]),))
    (folder / "onnx").mkdir(exist_ok=True)
    onnx.save(scoring_graph(encoder), folder / GRAPH)
    (folder / "lighten.json").unlink(missing_ok=True)  # the description is none of the files it lists
    description: dict[str, Any] = {
        "format": 1,
        "task": SUMMARIES,
        "graph": GRAPH,
        "preprocessing": {
            "max_tokens": min(max_tokens, len(encoder.positions)),
            "pad_token_id": int(config.get("pad_token_id") or 0),
        },
        "extraction": {"words": words, "no_repeat": no_repeat},
        "runtime": {"threads": threads, "spinning": False},
        "plan": [],
        "files": files_of(folder),
        "self_test": [],
    }
    write_json(folder / "lighten.json", description)
    if samples:
        model = Extractor(read_folder(folder))
        scores = {text: model.scores(text)[1].tolist() for text in samples}
        description["self_test"] = [
            {"text": text, "scores": [round(score, 5) for score in found]} for text, found in scores.items()
        ]
        write_json(folder / "lighten.json", description)


def set_words(folder: Path, words: int) -> None:
    """Change the length of the summaries in a folder's description."""
    description = read_json(folder / "lighten.json")
    description["extraction"]["words"] = words
    write_json(folder / "lighten.json", description)

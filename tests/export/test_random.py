"""Folders of random weights: they load, are of the size foreseen and cost what a trained one costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.helpers.checkpoints import ALL_KINDS, write_model

from lighten.export.bundle import Serving
from lighten.export.graph import encoder_graph
from lighten.export.random import write_random
from lighten.models.checkpoint import read_config, read_state
from lighten.models.encoder import encoder_from_state, random_encoder
from lighten.models.layout import Shape, shape_of
from lighten.models.quantised.precision import unmeasured
from lighten.models.resized import config_for
from lighten.runtime import load

SERVING = Serving(("bad", "good"), 32, 1)
FORMS = ["fp32", "int8", "int8-static"]


def write(target: Path, checkpoint: Path, shape: Shape, form: str = "fp32", seed: int = 0) -> Path:
    target.mkdir()
    write_random(target, read_config(checkpoint), shape, form, checkpoint, SERVING, seed)
    return target


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_it_loads_and_predicts_without_weights(tmp_path, checkpoints, kind, form):
    config = read_config(checkpoints[kind])
    folder = write(tmp_path / "model", checkpoints[kind], shape_of(config, 2).with_(layers=1, vocabulary=500), form)
    assert sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()) == [
        "config.json",
        "lighten.json",
        "onnx/model.onnx",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    model = load(folder)
    model.verify()
    assert len(model.predict(["a good film", ""])) == 2
    assert read_config(folder)["vocab_size"] == 500


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_the_drawing_has_the_operators_and_sizes_of_the_real_one(tmp_path, checkpoints, kind, form):
    config = read_config(checkpoints[kind])
    encoder = encoder_from_state(config, read_state(checkpoints[kind]))
    real = encoder_graph(encoder, unmeasured(form, encoder))
    drawn = onnx.load(write(tmp_path / "model", checkpoints[kind], shape_of(config, 2), form) / "onnx/model.onnx")
    assert [n.op_type for n in drawn.graph.node] == [n.op_type for n in real.graph.node]
    assert [(w.name, w.data_type, list(w.dims)) for w in drawn.graph.initializer] == [
        (w.name, w.data_type, list(w.dims)) for w in real.graph.initializer
    ]


def test_the_seed_decides(tmp_path, bert):
    shape = shape_of(read_config(bert), 2)
    files = [write(tmp_path / str(i), bert, shape, seed=s) / "onnx/model.onnx" for i, s in enumerate((1, 1, 2))]
    first, again, other = (file.read_bytes() for file in files)
    assert first == again != other


def test_embeddings_as_wide_as_the_hidden_states_stay_so(tmp_path):
    """A narrower student of such an ELECTRA has no projection, as `lighten.models.width` cuts it."""
    source = write_model(tmp_path / "source", "electra", embedding_size=32)
    config = read_config(source)
    shape = shape_of(config, 2).with_(hidden=16, heads=2)
    folder = write(tmp_path / "model", source, shape)
    written = read_config(folder)
    assert (written["embedding_size"], written["hidden_size"]) == (16, 16)
    drawn = onnx.load(folder / "onnx/model.onnx")
    assert [shape.vocabulary, 16] in [list(weight.dims) for weight in drawn.graph.initializer]
    plain = random_encoder(config_for(config, shape), shape)
    assert plain.projection is None and plain.words.shape == (shape.vocabulary, 16)


def test_predictions_are_finite(tmp_path, bert):
    shape = shape_of(read_config(bert), 2).with_(layers=4)
    logits = load(write(tmp_path / "model", bert, shape, "int8")).logits(["film " * 40, "x"])
    assert np.isfinite(logits).all()

"""Folders of random weights: they load, are of the size foreseen and cost what a trained one costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.helpers.checkpoints import KINDS

from lighten.export.bundle import Serving
from lighten.export.graph import Precision, encoder_graph
from lighten.export.random import write_random
from lighten.models.checkpoint import read_config, read_state
from lighten.models.encoder import encoder_from_state
from lighten.models.layout import Shape, shape_of
from lighten.runtime import load
from lighten.search.cost.shapes import weight_bytes

SERVING = Serving(("bad", "good"), 32, 1)


def write(target: Path, checkpoint: Path, shape: Shape, int8: bool = False, seed: int = 0) -> Path:
    target.mkdir()
    write_random(target, read_config(checkpoint), shape, Precision(int8=int8), checkpoint, SERVING, seed)
    return target


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("int8", [False, True])
def test_it_loads_and_predicts_without_weights(tmp_path, checkpoints, kind, int8):
    config = read_config(checkpoints[kind])
    folder = write(tmp_path / "model", checkpoints[kind], shape_of(config, 2).with_(layers=1, vocabulary=500), int8)
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("int8", [False, True])
def test_the_drawing_has_the_operators_and_sizes_of_the_real_one(tmp_path, checkpoints, kind, int8):
    config = read_config(checkpoints[kind])
    real = encoder_graph(encoder_from_state(config, read_state(checkpoints[kind])), Precision(int8=int8))
    drawn = onnx.load(write(tmp_path / "model", checkpoints[kind], shape_of(config, 2), int8) / "onnx/model.onnx")
    assert [n.op_type for n in drawn.graph.node] == [n.op_type for n in real.graph.node]
    assert [(w.name, w.data_type, list(w.dims)) for w in drawn.graph.initializer] == [
        (w.name, w.data_type, list(w.dims)) for w in real.graph.initializer
    ]


def test_the_seed_decides(tmp_path, bert):
    shape = shape_of(read_config(bert), 2)
    files = [write(tmp_path / str(i), bert, shape, seed=s) / "onnx/model.onnx" for i, s in enumerate((1, 1, 2))]
    first, again, other = (file.read_bytes() for file in files)
    assert first == again != other


MINILM = Shape(layers=6, hidden=384, heads=12, intermediate=1536, vocabulary=30522, positions=512, classes=2)


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("bert", MINILM.with_(layers=1, vocabulary=2000)),
        ("bert", MINILM.with_(layers=3, intermediate=512, vocabulary=6000)),
        ("distilbert", Shape(2, 256, 8, 1024, 8000, 512, 20)),
        ("roberta", Shape(2, 128, 2, 512, 1000, 512, 3)),
        ("electra", Shape(4, 256, 4, 1024, 9000, 512, 2)),
    ],
)
def test_weight_bytes_foresees_the_file(tmp_path, checkpoints, kind, shape, int8):
    config = {**read_config(checkpoints[kind])}
    width = 128 if kind == "electra" else shape.hidden
    if kind == "electra":
        config["embedding_size"] = width
    (tmp_path / "model").mkdir()
    write_random(tmp_path / "model", config, shape, Precision(int8=int8), checkpoints[kind], SERVING)
    written = (tmp_path / "model/onnx/model.onnx").stat().st_size
    assert weight_bytes(shape, width, int8) == pytest.approx(written, rel=0.02)


def test_predictions_are_finite(tmp_path, bert):
    shape = shape_of(read_config(bert), 2).with_(layers=4)
    logits = load(write(tmp_path / "model", bert, shape, int8=True)).logits(["film " * 40, "x"])
    assert np.isfinite(logits).all()

"""The note beside a checkpoint."""

from __future__ import annotations

import shutil

import pytest
from tests.helpers.checkpoints import KINDS

from lighten.errors import InputError
from lighten.models.quantised.precision import (
    FORMATS,
    FP32,
    Precision,
    product_names,
    read_precision,
    unmeasured,
    write_precision,
)
from lighten.models.read import read_encoder
from lighten.pipeline.files import write_json

EVERY = [
    Precision(int8=True),
    Precision(int8=True, bits=8),
    Precision(int8=True, ranges={"layer0.up": (-1.5, 2.0)}),
    Precision(int8=True, floats=("layer0.up", "head0")),
    Precision(int8=True, floats=("layer0.up",), ranges={"head0": (0.0, 1e-3)}),
    Precision(weight_bits=4, block=128, accuracy=0),
    Precision(weight_bits=8),
]


@pytest.mark.parametrize("precision", EVERY, ids=lambda p: p.format)
def test_it_is_read_as_it_was_written(tmp_path, bert, precision):
    folder = shutil.copytree(bert, tmp_path / "model")
    assert read_precision(folder) == FP32
    note = write_precision(folder, precision)
    assert note["format"] == precision.format
    assert read_precision(folder) == precision
    assert precision.quantised and not FP32.quantised


def test_mixed_that_left_nothing_in_float(tmp_path, bert):
    folder = shutil.copytree(bert, tmp_path / "model")
    write_precision(folder, Precision(int8=True), "mixed")
    assert read_precision(folder) == Precision(int8=True)


@pytest.mark.parametrize(
    ("note", "what"),
    [
        ({"format": "int5"}, "format 'int5' is not one of int8, .*mixed"),
        ({"bits": 7}, "'format'"),
        ({"format": "int8-static", "bits": 7}, "'ranges' is missing"),
        ({"format": "int4-weights", "block": 31, "accuracy": 4}, "block 31"),
        ({"format": "int8", "bits": "many"}, "many"),
    ],
)
def test_a_damaged_note(tmp_path, bert, note, what):
    folder = shutil.copytree(bert, tmp_path / "model")
    write_json(folder / "quantise.json", note)
    with pytest.raises(InputError, match=rf"quantise\.json: no note of a precision: .*{what}"):
        read_precision(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_products(checkpoints, kind):
    names = product_names(read_encoder(checkpoints[kind]))
    inside = [f"layer{i}.{part}" for i in range(2) for part in ("qkv", "attention_out", "up", "down")]
    assert names == (["projection"] if kind == "electra" else []) + inside + ["head0"]


def test_formats_of_weights_that_nobody_has_measured(bert):
    encoder = read_encoder(bert)
    for kind in ("fp32", *FORMATS):
        if kind == "mixed":
            with pytest.raises(ValueError, match="format 'mixed' cannot be drawn unmeasured"):
                unmeasured(kind, encoder)
        else:
            assert unmeasured(kind, encoder).format == kind

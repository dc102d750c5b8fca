"""Quantised graphs against an emulation of their arithmetic in torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tests.helpers.checkpoints import ALL_KINDS, POSITIONS, token_batch, vocabulary

from lighten.export import drawing
from lighten.export.graph import Precision, encoder_graph
from lighten.models.checkpoint import read_config
from lighten.models.encoder import Encoder
from lighten.models.quantised.emulate import Emulation
from lighten.models.quantised.precision import product_names
from lighten.models.quantised.ranges import calibrate
from lighten.models.read import read_encoder

SIZES = [(1, 1), (1, 9), (3, POSITIONS), (7, 13)]
FORMATS = ("int8", "int8-8", "int8-static", "mixed", "mixed-static", "int8-weights", "int4-weights", "int4-fp32")


def read(folder: Path) -> tuple[Encoder, int]:
    return read_encoder(folder), int(read_config(folder)["pad_token_id"])


def batch(padding: int, rows: int, tokens: int, seed: int = 0) -> tuple[Any, Any]:
    return token_batch(len(vocabulary(padding)), rows, tokens, padding, seed)


def precision_for(kind: str, encoder: Encoder, padding: int) -> Precision:
    names = product_names(encoder)
    ranges = {}
    if kind.endswith("static"):
        float_ = Emulation(encoder, Precision(int8=True, floats=tuple(names)))
        ids, mask = batch(padding, 16, 20, seed=9)
        ranges = calibrate(float_, lambda: [(torch.from_numpy(ids), torch.from_numpy(mask))], "min-max")
    floats = tuple(name for name in names if "up" in name or name == "layer1.qkv") if "mixed" in kind else ()
    return {
        "int8": Precision(int8=True),
        "int8-8": Precision(int8=True, bits=8),
        "int8-weights": Precision(weight_bits=8),
        "int4-weights": Precision(weight_bits=4, block=16),
        "int4-fp32": Precision(weight_bits=4, accuracy=0),
    }.get(kind) or Precision(int8=True, ranges=ranges, floats=floats)


def session(graph: onnx.ModelProto) -> onnxruntime.InferenceSession:
    onnx.checker.check_model(graph)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(opened: onnxruntime.InferenceSession, ids: Any, mask: Any) -> Any:
    return opened.run(None, {"input_ids": ids, "attention_mask": mask})[0]


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("format_", FORMATS)
def test_the_graph_computes_what_the_emulation_computes(checkpoints, kind, format_):
    encoder, padding = read(checkpoints[kind])
    precision = precision_for(format_, encoder, padding)
    opened = session(encoder_graph(encoder, precision))
    emulation = Emulation(encoder, precision, per_text=False)
    plain = session(encoder_graph(encoder))
    errors, own = [], []
    for seed, (rows, tokens) in enumerate(SIZES):
        ids, mask = batch(padding, rows, tokens, seed)
        found = run(opened, ids, mask)
        assert found.shape == (rows, 2)
        errors.append(np.abs(found - emulation.run(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()).ravel())
        own.append(np.abs(found - run(plain, ids, mask)).ravel())
    # A number on the edge between two integers may fall to either side: then one step apart, here and there.
    errors, own = np.concatenate(errors), np.concatenate(own)
    assert np.median(errors) < 1e-4, (np.median(errors), np.median(own))
    assert errors.mean() < 0.2 * own.mean()


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_the_emulation_in_fp32_is_the_graph(checkpoints, kind):
    encoder, padding = read(checkpoints[kind])
    ids, mask = batch(padding, 7, 13)
    wanted = run(session(encoder_graph(encoder)), ids, mask)
    found = Emulation(encoder, Precision()).run(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_ranges_text_by_text_are_those_of_texts_run_alone(bert):
    encoder, padding = read(bert)
    precision = Precision(int8=True)
    ids, mask = batch(padding, 6, 11)
    together = Emulation(encoder, precision).run(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    opened = session(encoder_graph(encoder, precision))
    lengths = mask.sum(1)
    alone = np.concatenate([run(opened, ids[i : i + 1, :n], mask[i : i + 1, :n]) for i, n in enumerate(lengths)])
    assert np.median(np.abs(together - alone)) < 1e-4


def test_what_is_drawn(bert):
    encoder, padding = read(bert)

    def count(format_: str) -> dict[str, int]:
        kinds = [node.op_type for node in encoder_graph(encoder, precision_for(format_, encoder, padding)).graph.node]
        return {kind: kinds.count(kind) for kind in kinds}

    static = count("int8-static")
    assert "DynamicQuantizeLinear" not in static and "DynamicQuantizeMatMul" not in static
    # The last layer's keys and values are multiplied in fp32, for the first token alone.
    assert static["QAttention"] == 1 and static["MatMulIntegerToFloat"] == 8 and static["QuantizeLinear"] == 9
    mixed = count("mixed")
    assert "Attention" not in mixed and mixed["QAttention"] == 1
    assert mixed["MatMul"] == 3 + 4  # the last layer's attention: query, scores, shares and values
    blocks = count("int4-weights")
    assert blocks["MatMulNBits"] == 9 and blocks["MultiHeadAttention"] == 2 and blocks["MatMul"] == 1


def test_sizes_shrink_as_promised(bert):
    """Bytes of the layers' matrices: a quarter, a little more than a quarter, and than an eighth."""
    encoder, padding = read(bert)

    def bytes_of(format_: str | None) -> int:
        precision = precision_for(format_, encoder, padding) if format_ else Precision()
        stored = encoder_graph(encoder, precision).graph.initializer
        parts = ("qkv", "key", "value", "attention_out", "up", "down")
        return sum(
            onnx.numpy_helper.to_array(w).nbytes
            for w in stored
            if ".bias" not in w.name
            and w.name.split(".")[1:2]
            and w.name.split(".")[1] in parts
            and not w.name.endswith(("norm", "scale", "shift"))
        )

    full = bytes_of(None)
    assert bytes_of("int8-static") == pytest.approx(full / 4, rel=0.25)  # tiny: scales weigh as much as 5 rows of 32
    assert full / 4 < bytes_of("int8-weights") < full / 3
    assert full / 8 < bytes_of("int4-fp32") < full / 5.5


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("format_", ["int8", "int8-static", "int4-weights"])
def test_affine_norms(checkpoints, norm, format_):
    from tests.helpers.checkpoints import make_config, make_model

    from lighten.models.encoder import encoder_from_state
    from lighten.models.norms import set_norm

    model = make_model(make_config("bert", len(vocabulary(0))))
    ids, mask = batch(0, 20, 15)
    set_norm(model, norm, {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)})
    state = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    encoder = encoder_from_state(model.config.to_dict(), state)
    precision = precision_for(format_, encoder, 0)
    found = run(session(encoder_graph(encoder, precision)), ids, mask)
    wanted = Emulation(encoder, precision, per_text=False).run(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    assert np.median(np.abs(found - wanted)) < 1e-4
    fp32 = Emulation(encoder, Precision()).run(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    assert np.abs(found - fp32).mean() < (0.5 if "int4" in format_ else 0.15) * fp32.std()


def test_features_of_a_model_without_a_head(bert):
    encoder, padding = read(bert)
    encoder = replace(encoder, head=(), pooling="mean")
    for format_ in FORMATS:
        precision = precision_for(format_, encoder, padding)
        ids, mask = batch(padding, 5, 12)
        found = run(session(encoder_graph(encoder, precision)), ids, mask)
        wanted = Emulation(encoder, precision, per_text=False).run(torch.from_numpy(ids), torch.from_numpy(mask))
        assert np.median(np.abs(found - wanted.numpy())) < 1e-3


@pytest.mark.parametrize("format_", [None, "int8", "int8-static", "mixed", "int4-fp32"])
def test_sum_and_norm_compute_what_the_fused_node_computes(bert, monkeypatch, format_):
    encoder, padding = read(bert)
    precision = precision_for(format_, encoder, padding) if format_ else Precision()
    ids, mask = batch(padding, 5, 17)

    def fused(self, x, skip, dense, norm, name):
        weights = [(".scale", norm.scale), (".shift", norm.shift), (".bias", dense.bias)]
        inputs = [self.graph.weight(name + ending, value) for ending, value in weights]
        product = self.product(x, dense, name)
        return self.graph.fused("SkipLayerNormalization", product, skip, *inputs, epsilon=self.encoder.epsilon)

    found, kinds = [], []
    for residual in (fused, drawing.Drawing.residual):
        monkeypatch.setattr(drawing.Drawing, "residual", residual)
        graph = encoder_graph(encoder, precision)
        found.append(run(session(graph), ids, mask))
        kinds.append([node.op_type for node in graph.graph.node])
    assert np.median(np.abs(found[0] - found[1])) < 1e-4
    assert kinds[0].count("SkipLayerNormalization") == kinds[1].count("Sum") == 4


def test_the_optimiser_leaves_sum_and_norm_alone(bert, tmp_path):
    """Else the slow fused node would be back."""
    encoder, padding = read(bert)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    graph = encoder_graph(encoder, precision_for("int8-static", encoder, padding))
    onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert "SkipLayerNormalization" not in kinds and kinds.count("LayerNormalization") == 5

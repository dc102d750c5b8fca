"""Windowed attention as drawn: beside the obvious masked one, at every kind of length, with padding, in int8."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from tests.export.test_graph import expected, run, session
from tests.helpers.checkpoints import ALL_KINDS, token_batch, vocabulary, write_model

from lighten.errors import InputError
from lighten.export.draw import Graph
from lighten.export.graph import Precision, encoder_graph
from lighten.export.windowed import WindowedAttention
from lighten.models.attention.pattern import Pattern
from lighten.models.attention.reference import masked_sdpa
from lighten.models.checkpoint import read_config, read_state
from lighten.models.encoder import encoder_from_state
from lighten.models.extend import write_extended
from lighten.models.extension import Extension
from lighten.models.load import load_classifier
from lighten.models.quantised.emulate import Emulation

HEADS, SIZE = 2, 4
LENGTHS = [1, 2, 5, 31, 32, 33, 63, 64, 65, 128, 300]


def attention_alone(pattern: Pattern) -> onnx.ModelProto:
    graph, hidden = Graph(), HEADS * SIZE
    out = WindowedAttention(graph, pattern, HEADS).draw("joined", hidden)
    graph.nodes.append(helper.make_node("Identity", [out], ["out"]))
    tokens = ["batch", "tokens"]
    inputs = [helper.make_tensor_value_info("joined", TensorProto.FLOAT, [*tokens, 3 * hidden])]
    inputs += [helper.make_tensor_value_info(n, TensorProto.INT64, tokens) for n in ("input_ids", "attention_mask")]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, [*tokens, hidden])]
    drawn = helper.make_graph(graph.nodes, "attention", inputs, outputs, list(graph.weights.values()))
    return helper.make_model(drawn, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


PATTERNS = [
    *(Pattern(window=w, globals_=g) for w, g in [(1, 0), (4, 1), (8, 3), (33, 1), (64, 2), (64, 100), (5, 40)]),
    *(Pattern(window=w, globals_=g, dilation=d) for w, g, d in [(4, 1, 2), (33, 0, 3), (5, 40, 2), (1, 3, 7)]),
    *(
        Pattern(window=w, globals_=g, random_blocks=r, block=b, seed=w)
        for w, g, r, b in [(8, 1, 2, 16), (16, 0, 1, 16), (3, 2, 5, 8)]
    ),
]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: "-".join(map(str, astuple(p))))
def test_it_equals_masked_attention_at_lengths_on_both_sides_of_every_edge(pattern):
    opened = session(attention_alone(pattern))
    for tokens in LENGTHS:
        random = np.random.default_rng(tokens)
        joined = random.standard_normal((3, tokens, 3 * HEADS * SIZE)).astype(np.float32) * 1.5
        lengths = np.array([tokens, max(1, tokens // 2), random.integers(1, tokens + 1)])
        mask = (np.arange(tokens) < lengths[:, None]).astype(np.int64)
        found = opened.run(None, {"joined": joined, "input_ids": mask, "attention_mask": mask})[0]
        parts = [torch.from_numpy(p).unflatten(-1, (HEADS, SIZE)).transpose(1, 2) for p in np.split(joined, 3, -1)]
        wanted = masked_sdpa(*parts, torch.from_numpy(mask), pattern).transpose(1, 2).flatten(2).numpy()
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found * mask[..., None], wanted, atol=1e-5)


@pytest.mark.parametrize("fields", [{}, {"dilation": 2}, {"random_blocks": 2, "block": 4}])
def test_a_row_of_padding_alone_is_no_nan(fields):
    opened = session(attention_alone(Pattern(window=4, globals_=0, **fields)))
    joined, mask = np.ones((2, 9, 3 * HEADS * SIZE), np.float32), np.zeros((2, 9), np.int64)
    assert np.isfinite(opened.run(None, {"joined": joined, "input_ids": mask, "attention_mask": mask})[0]).all()


@pytest.fixture(scope="module", params=ALL_KINDS)
def longer(request, tmp_path_factory):
    """A tiny classifier of three layers for 4,096 tokens, two of them with a window."""
    root = tmp_path_factory.mktemp("longer")
    write_model(root / "short", request.param, layers=3)
    (root / "long").mkdir()
    write_extended(root / "short", root / "long", Extension(4096, window=16, globals_=2, layers="LGL"))
    return root / "long"


def test_a_whole_classifier_equals_torch_at_lengths_never_seen(longer):
    config = read_config(longer)
    padding = int(config["pad_token_id"])
    opened = session(encoder_graph(encoder_from_state(config, read_state(longer))))
    model = load_classifier(longer, ["a", "b"], 0).eval()
    spread = []
    for rows, tokens in [(1, 1), (2, 5), (2, 63), (2, 64), (3, 65), (2, 128), (2, 1000), (1, 4096)]:
        ids, mask = token_batch(len(vocabulary(padding)), rows, tokens, padding, tokens)
        wanted = expected(model, ids, mask).logits.numpy()
        np.testing.assert_allclose(run(opened, ids, mask), wanted, atol=1e-4)
        spread.append(wanted)
    assert np.concatenate(spread).std() > 0.1


def test_the_window_matters(longer):
    encoder = encoder_from_state(read_config(longer), read_state(longer))
    padding = int(read_config(longer)["pad_token_id"])
    ids, mask = token_batch(len(vocabulary(padding)), 2, 200, padding)
    full = run(encoder_graph(replace(encoder, attention=())), ids, mask)
    assert np.abs(full - run(encoder_graph(encoder), ids, mask)).max() > 1e-3
    wide = tuple(Pattern(window=199, globals_=2) for _ in encoder.layers)
    np.testing.assert_allclose(run(encoder_graph(replace(encoder, attention=wide)), ids, mask), full, atol=1e-4)


def test_a_text_alone_and_padded_in_a_batch_agree(longer):
    encoder = encoder_from_state(read_config(longer), read_state(longer))
    padding = int(read_config(longer)["pad_token_id"])
    opened = session(encoder_graph(encoder))
    ids, mask = token_batch(len(vocabulary(padding)), 5, 150, padding, seed=3)
    together = run(opened, ids, mask)
    for row, length in enumerate(mask.sum(1)):
        alone = run(opened, ids[row : row + 1, :length], mask[row : row + 1, :length])
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


@pytest.mark.parametrize(
    "precision",
    [
        Precision(int8=True),
        Precision(int8=True, bits=8),
        Precision(weight_bits=8),
        Precision(int8=True, floats=("layer0.qkv",)),
    ],
    ids=["7 bits", "8 bits", "weights alone", "mixed"],
)
def test_quantised_products(longer, precision):
    encoder = encoder_from_state(read_config(longer), read_state(longer))
    padding = int(read_config(longer)["pad_token_id"])
    ids, mask = token_batch(len(vocabulary(padding)), 30, 100, padding, seed=5)
    wanted = run(encoder_graph(encoder), ids, mask)
    graph = encoder_graph(encoder, precision)
    found = run(graph, ids, mask)
    assert np.abs(found - wanted).mean() < 0.15 * wanted.std() and not np.array_equal(found, wanted)
    if precision.int8 and not precision.floats:
        stored = {weight.name: weight.data_type for weight in graph.graph.initializer}
        assert stored["layer0.qkv"] == stored["layer1.qkv"] == TensorProto.INT8
    if not precision.weight_bits:  # torch with the graph's arithmetic, which calibration and training rely on
        emulated = Emulation(encoder, precision, per_text=False).run(torch.from_numpy(ids), torch.from_numpy(mask))
        assert np.abs(found - emulated.numpy()).mean() < 0.06 * wanted.std()


def test_blocks_smaller_than_the_window_are_named(longer):
    encoder = encoder_from_state(read_config(longer), read_state(longer))
    odd = replace(encoder, attention=tuple(Pattern(window=8, random_blocks=1, block=4) for _ in encoder.layers))
    with pytest.raises(InputError, match=r"random blocks of 4 tokens with a window of 8 .* cannot be exported"):
        encoder_graph(odd)


SPARSE = [{"dilation": 2}, {"random_blocks": 2, "block": 16}]


@pytest.mark.parametrize("fields", SPARSE)
def test_a_whole_classifier_with_other_patterns_equals_torch(tmp_path, fields):
    write_model(tmp_path / "short", "bert", layers=3)
    (tmp_path / "long").mkdir()
    wanted = {name: value for name, value in fields.items() if name != "block"}
    facts = write_extended(tmp_path / "short", tmp_path / "long", Extension(1024, window=16, layers="LLG", **wanted))
    assert {name: facts[name] for name in wanted} == wanted
    config, state = read_config(tmp_path / "long"), read_state(tmp_path / "long")
    encoder = encoder_from_state(config, state)
    opened, int8 = session(encoder_graph(encoder)), session(encoder_graph(encoder, Precision(int8=True)))
    model = load_classifier(tmp_path / "long", ["a", "b"], 0).eval()
    pieces = len(vocabulary(int(config["pad_token_id"])))
    for rows, tokens in [(1, 1), (2, 65), (3, 300), (1, 1024)]:
        ids, mask = token_batch(pieces, rows, tokens, 0, tokens)
        wanted = expected(model, ids, mask).logits.numpy()
        np.testing.assert_allclose(run(opened, ids, mask), wanted, atol=1e-4)
        np.testing.assert_allclose(run(int8, ids, mask), wanted, atol=0.3)
    plain = replace(encoder, attention=tuple(Pattern(window=16) for _ in encoder.layers))
    assert np.abs(run(encoder_graph(plain), ids, mask) - wanted).max() > 1e-4


@pytest.mark.parametrize("fields", [{}, *SPARSE])
def test_nothing_grows_with_the_square_of_the_length(longer, fields):
    """Every tensor that ONNX Runtime makes, by its size at two lengths."""
    encoder = encoder_from_state(read_config(longer), read_state(longer))
    encoder = replace(encoder, attention=tuple(Pattern(window=16, globals_=2, **fields) for _ in encoder.layers))
    graph = encoder_graph(encoder)
    names = [name for node in graph.graph.node for name in node.output if not name.startswith("result")]
    graph.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name != "logits")
    # Unchecked, since the new outputs have no types.
    opened = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    sizes = []
    for tokens in (1024, 2048):
        ids = np.full((1, tokens), 20)
        found = opened.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        sizes.append([np.size(value) for value in found])
    ratios = np.array(sizes[1]) / np.maximum(sizes[0], 1)
    assert ratios.max() < 2.1

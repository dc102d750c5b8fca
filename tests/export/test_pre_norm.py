"""ModernBERT as drawn: beside transformers at every kind of length, padded, with and without a pattern given to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from tests.export.test_graph import expected, run, session
from tests.helpers.checkpoints import make_config, make_model, token_batch, vocabulary, write_model
from transformers import AutoModelForSequenceClassification

from lighten.errors import InputError
from lighten.export.graph import Precision, encoder_graph
from lighten.export.pre_norm import PreNormDrawing
from lighten.models.attention.pattern import Pattern
from lighten.models.checkpoint import read_config, read_state
from lighten.models.encoder import Encoder, encoder_from_state
from lighten.models.extend import write_extended
from lighten.models.extension import Extension
from lighten.models.load import load_classifier
from lighten.models.quantised.emulate import Emulation
from lighten.models.quantised.precision import product_names
from lighten.models.quantised.ranges import calibrate

LENGTHS = [(1, 1), (2, 5), (2, 9), (2, 63), (2, 64), (3, 65), (2, 128), (3, 129), (2, 130), (2, 1000), (1, 4096)]
PIECES = len(vocabulary(0))


def make(layers: int = 4, **changes: Any) -> tuple[Any, Encoder]:
    """Return a model of transformers and what is read of it; layers: full, local, local, full, ..."""
    config = make_config("modernbert", PIECES, layers=layers, max_position_embeddings=4096, **changes)
    model = make_model(config)
    state = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    return model, encoder_from_state(config.to_dict(), state)


def compare(model: Any, encoder: Encoder, lengths: list[tuple[int, int]] = LENGTHS) -> None:
    opened, spread = session(encoder_graph(encoder)), []
    for rows, tokens in lengths:
        ids, mask = token_batch(PIECES, rows, tokens, 0, tokens)
        wanted = expected(model, ids, mask).logits.numpy()
        np.testing.assert_allclose(run(opened, ids, mask), wanted, atol=1e-4)
        spread.append(wanted)
    assert np.concatenate(spread).std() > 0.1  # logits that hardly move would prove nothing


BIASES = {"attention_bias": True, "mlp_bias": True, "norm_bias": True, "classifier_bias": True}


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"classifier_pooling": "mean"},
        {"layers": 3},  # the last one is local
        {"layers": 1},
        {"layers": 3, **BIASES},
        {"classifier_pooling": "mean", **BIASES},
        {"classifier_activation": "relu", "hidden_activation": "gelu_pytorch_tanh"},
        {"layer_types": ["sliding_attention"] * 4},
        {"layer_types": ["full_attention"] * 4, "classifier_pooling": "mean"},
    ],
    ids=str,
)
def test_it_equals_transformers_at_lengths_never_seen(changes, attention):
    model, encoder = make(**changes)
    model.set_attn_implementation(attention)
    compare(model, encoder, LENGTHS if attention == "sdpa" else LENGTHS[:-1])


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize(
    "wanted",
    [
        Extension(4096),
        Extension(4096, window=16, globals_=2, layers="LGL"),
        Extension(4096, window=20, globals_=1, layers="L"),
        Extension(4096, window=5, layers="GL", dilation=3),
        Extension(4096, window=5, globals_=1, layers="LL", dilation=3),
        Extension(4096, window=16, layers="GL", random_blocks=1),
    ],
    ids=str,
)
def test_an_extended_one_equals_torch(tmp_path, wanted, pooling):
    source = write_model(tmp_path / "short", "modernbert", layers=3, classifier_pooling=pooling)
    (tmp_path / "long").mkdir()
    write_extended(source, tmp_path / "long", wanted)
    encoder = encoder_from_state(read_config(tmp_path / "long"), read_state(tmp_path / "long"))
    compare(load_classifier(tmp_path / "long", ["a", "b"], 0).eval(), encoder)


def test_places_are_told_apart_and_by_other_angles_in_local_layers():
    _, encoder = make(classifier_pooling="mean")
    ids, mask = token_batch(PIECES, 2, 40, 0)
    found, extra = run(encoder_graph(encoder), ids, mask), encoder.pre_norm
    turned = ids.copy()
    turned[0, 1:] = turned[0, :0:-1]
    assert np.abs(run(encoder_graph(encoder), turned, mask)[0] - found[0]).max() > 1e-2
    for angles in ((extra.angles[0],) * 4, (extra.angles[1],) * 4, (extra.angles[0] * 0,) * 4):
        other = encoder_graph(replace(encoder, pre_norm=replace(extra, angles=angles)))
        assert np.abs(run(other, ids, mask) - found).max() > 1e-3


@pytest.mark.parametrize("pattern", [None, Pattern(4, 0), Pattern(4, 2), Pattern(4, 0, dilation=2), Pattern(200, 0)])
@pytest.mark.parametrize("precision", [Precision(), Precision(int8=True), Precision(weight_bits=8)], ids=str)
def test_the_first_token_of_the_last_layer_is_that_of_the_whole_layer(monkeypatch, pattern, precision):
    _, encoder = make(layers=2, **BIASES)
    encoder = replace(encoder, attention=(None, pattern))
    alone = encoder_graph(encoder, precision)
    whole_states = PreNormDrawing.states

    def whole(self: PreNormDrawing, first_only: bool) -> str:
        zero = self.graph.weight("zeroth", np.array(0, np.int64))
        states = whole_states(self, False)
        return self.graph.op("Gather", states, zero, axis=1) if first_only else states

    monkeypatch.setattr(PreNormDrawing, "states", whole)
    together = encoder_graph(encoder, precision)
    for tokens in (1, 4, 5, 6, 30, 200):
        ids, mask = token_batch(PIECES, 3, tokens, 0, tokens)
        wanted, found = run(together, ids, mask), run(alone, ids, mask)
        assert np.abs(found - wanted).max() < (0.3 * wanted.std() + 0.05 if precision.quantised else 1e-5)


def operators(graph: onnx.GraphProto) -> list[str]:
    """Return the kinds of the nodes that a long text meets."""
    found = []
    for node in graph.node:
        found.append(node.op_type)
        for attribute in node.attribute:
            if attribute.name == "else_branch":
                found += operators(attribute.g)
    return found


def test_local_layers_never_compute_all_scores_of_a_long_text():
    _, encoder = make(classifier_pooling="mean")
    assert operators(encoder_graph(encoder).graph).count("MultiHeadAttention") == 2
    _, local = make(layer_types=["sliding_attention"] * 4, classifier_pooling="mean")
    assert "MultiHeadAttention" not in operators(encoder_graph(local).graph)


def test_nothing_is_drawn_for_biases_that_are_not_there():
    plain, biased = (make(classifier_pooling="mean", **changes)[1] for changes in ({}, BIASES))
    names = {weight.name for weight in encoder_graph(plain).graph.initializer}
    more = {weight.name for weight in encoder_graph(biased).graph.initializer} - names
    assert more == {f"layer{i}.{part}.bias" for i in range(4) for part in ("qkv", "attention_out", "up", "down")}
    tables = [w for w in encoder_graph(plain).graph.initializer if 4096 in w.dims]
    assert tables == []  # no cosines by place


def test_int8_agrees_roughly_at_long_lengths():
    _, encoder = make()
    fp32, int8 = session(encoder_graph(encoder)), session(encoder_graph(encoder, Precision(int8=True)))
    for tokens in (20, 300):
        ids, mask = token_batch(PIECES, 30, tokens, 0, tokens)
        wanted, found = run(fp32, ids, mask), run(int8, ids, mask)
        assert 0 < np.abs(found - wanted).mean() < 0.15 * wanted.std()


def test_a_text_alone_and_padded_in_a_batch_agree():
    _, encoder = make(classifier_pooling="mean")
    opened = session(encoder_graph(encoder))
    for longest in (100, 300):  # on both sides of where all scores are computed
        ids, mask = token_batch(PIECES, 5, longest, 0, seed=3)
        together = run(opened, ids, mask)
        for row, length in enumerate(mask.sum(1)):
            alone = run(opened, ids[row : row + 1, :length], mask[row : row + 1, :length])
            np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_scaled_positions():
    scaled = {"rope_type": "linear", "factor": 4.0}
    rope = {"full_attention": {**scaled, "rope_theta": 5e3}, "sliding_attention": {**scaled, "rope_theta": 1e3}}
    model, encoder = make(rope_parameters=rope)
    compare(model, encoder, LENGTHS[:-1])
    assert encoder.pre_norm.angles[0][0] == 0.25


def test_what_has_no_drawing_is_named():
    with pytest.raises(InputError, match="activation 'silu' cannot be exported"):
        encoder_graph(make(hidden_activation="silu")[1])


def test_a_masked_language_model_gives_features(tmp_path):
    from transformers import AutoModelForMaskedLM

    config = make_config("modernbert", PIECES)
    model = AutoModelForMaskedLM.from_config(config).eval()
    encoder = encoder_from_state(config.to_dict(), {n: v.detach().numpy() for n, v in model.state_dict().items()})
    ids, mask = token_batch(PIECES, 3, 20, 0)
    with torch.no_grad():
        given = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        wanted = model.base_model(**given).last_hidden_state[:, 0].numpy()
    np.testing.assert_allclose(run(encoder_graph(encoder), ids, mask), wanted, atol=1e-4)


def test_the_checkpoint_of_the_export_is_transformers_own(tmp_path):
    folder = write_model(tmp_path / "model", "modernbert", layers=4)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    compare(model, encoder_from_state(read_config(folder), read_state(folder)), LENGTHS[:6])


def test_keys_by_themselves_follow_their_product():
    _, encoder = make(layers=2)
    ids, mask = (torch.from_numpy(x) for x in token_batch(PIECES, 3, 20, 0))
    names = product_names(encoder)
    ranges = calibrate(Emulation(encoder, Precision(int8=True, floats=tuple(names))), lambda: [(ids, mask)], "min-max")
    assert set(ranges) == set(names)
    encoder_graph(encoder, Precision(int8=True, ranges=ranges))
    for floats, kind in (((), onnx.TensorProto.INT8), (("layer1.qkv",), onnx.TensorProto.FLOAT)):
        stored = encoder_graph(encoder, Precision(int8=True, floats=floats)).graph.initializer
        assert {w.data_type for w in stored if w.name in ("layer1.key", "layer1.qkv")} == {kind}

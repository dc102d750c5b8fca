from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from tests.helpers.decoders import make_decoder

from lighten.errors import InputError
from lighten.export.blocks import pack_blocks, quantise_rows_in_blocks
from lighten.export.decoder import WeightBits, decoder_graph
from lighten.models.decoder.view import decoder_from_state
from lighten.models.quantised.grids import unpacked

KINDS = [
    ("llama", {}),
    ("llama", {"tie_word_embeddings": False, "attention_bias": True, "mlp_bias": True, "num_key_value_heads": 2}),
    ("qwen2", {"tie_word_embeddings": False}),
    ("mistral", {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}),
]


def open_graph(model, bits=None):
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    graph = decoder_graph(decoder_from_state(model.config.to_dict(), state), bits)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(session, ids, past=None, keep=0, mask=None):
    """Returns the logits and the cache by the names of the inputs."""
    before = 0 if past is None else next(iter(past.values())).shape[2]
    feeds = {
        "input_ids": ids,
        "attention_mask": np.ones((len(ids), before + ids.shape[1]), np.int64) if mask is None else mask,
        "num_logits_to_keep": np.array(keep, np.int64),
    }
    for item in session.get_inputs():
        if item.name.startswith("past"):
            empty = np.zeros((len(ids), item.shape[1], 0, item.shape[3]), np.float32)
            feeds[item.name] = empty if past is None else past[item.name]
    names = [item.name for item in session.get_outputs()]
    found = dict(zip(names, session.run(names, feeds), strict=True))
    return found.pop("logits"), {name.replace("present", "past_key_values"): value for name, value in found.items()}


def wanted(model, ids):
    with torch.no_grad():
        return model(torch.from_numpy(ids)).logits.numpy()


def some_ids(rows, tokens, seed=0):
    return np.random.default_rng(seed).integers(3, 97, (rows, tokens))


@pytest.mark.parametrize(("kind", "changes"), KINDS)
@pytest.mark.parametrize("tokens", [1, 2, 17, 64])
def test_logits_are_those_of_transformers(kind, changes, tokens):
    model = make_decoder(kind, **changes)
    ids = some_ids(2, tokens)
    found, _ = run(open_graph(model), ids)
    np.testing.assert_allclose(found, wanted(model, ids), atol=1e-4)


@pytest.mark.parametrize(("kind", "changes"), KINDS[:2])
@pytest.mark.parametrize("pieces", [[5, 1, 1, 1, 9], [1] * 12, [20, 1]])
def test_reading_on_with_the_cache_is_reading_at_once(kind, changes, pieces):
    model = make_decoder(kind, **changes)
    session, ids = open_graph(model), some_ids(1, sum(pieces))
    expected, past, start = wanted(model, ids), None, 0
    for length in pieces:
        found, past = run(session, ids[:, start : start + length], past)
        np.testing.assert_allclose(found, expected[:, start : start + length], atol=1e-4)
        start += length


def test_only_the_last_logits_on_request():
    model = make_decoder()
    session, ids = open_graph(model), some_ids(2, 9)
    everything, _ = run(session, ids)
    for keep in (1, 3):
        found, _ = run(session, ids, keep=keep)
        assert found.shape[1] == keep
        np.testing.assert_allclose(found, everything[:, -keep:], atol=1e-6)


def test_padding_on_the_right_changes_nothing():
    model = make_decoder()
    ids = some_ids(2, 9)
    ids[1, 6:] = 2
    mask = np.ones_like(ids)
    mask[1, 6:] = 0
    found, _ = run(open_graph(model), ids, mask=mask)
    np.testing.assert_allclose(found[1, :6], wanted(model, ids[1:, :6])[0], atol=1e-4)


@pytest.mark.parametrize(("kind", "changes"), KINDS)
@pytest.mark.parametrize("bits", [WeightBits(8, 8), WeightBits(4, 8), WeightBits(4, 4), WeightBits(4, 8, whole=True)])
def test_blocks_answer_as_the_rounded_weights_do(kind, changes, bits):
    """What is left is the rounding of activations to int8, block by block."""
    model = make_decoder(kind, **changes)
    ids = some_ids(1, 12)
    exact, (found, _) = wanted(model, ids), run(open_graph(model, bits), ids)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.dim() == 2:
                whole = bits.whole or "embed" in name
                wide = bits.head if "embed" in name or "lm_head" in name else bits.body
                value.copy_(torch.from_numpy(unpacked(quantise_rows_in_blocks(value.numpy(), wide, 32, whole))))
    rounded = wanted(model, ids)
    size = np.abs(exact).max()
    assert np.abs(found - rounded).max() < 0.06 * size
    if bits.body == 4:
        assert np.abs(rounded - exact).max() > 1.5 * np.abs(found - rounded).max()


def test_a_tied_table_is_stored_once():
    model = make_decoder(vocabulary=2000)
    sizes = {}
    for name, tied in (("tied", True), ("own", False)):
        other = make_decoder(vocabulary=2000, tie_word_embeddings=tied)
        state = {key: value.numpy() for key, value in other.state_dict().items()}
        for bits in (32, 8):
            graph = decoder_graph(decoder_from_state(other.config.to_dict(), state), WeightBits(bits, bits))
            sizes[name, bits] = graph.ByteSize()
    table = 2000 * model.config.hidden_size
    assert sizes["own", 32] - sizes["tied", 32] == pytest.approx(4 * table, rel=0.05)
    assert sizes["own", 8] - sizes["tied", 8] == pytest.approx(table * (1 + 4 / 32), rel=0.05)


def test_packing_is_what_the_operator_reads():
    weight = np.random.default_rng(0).normal(size=(5, 96)).astype(np.float32)
    values, scales, zeros = pack_blocks(weight, 4, 32)
    assert (values.shape, scales.shape, zeros.shape) == ((5, 3, 16), (5, 3), (5, 2))
    assert values.dtype == zeros.dtype == np.uint8
    first = (values[0, 0, 0] & 15, values[0, 0, 0] >> 4)
    found = [(int(step) - int(zeros[0, 0] & 15)) * scales[0, 0] for step in first]
    np.testing.assert_allclose(found, weight[0, :2], atol=scales[0, 0])


def test_heads_of_an_odd_size_are_refused():
    model = make_decoder(head_dim=8)
    with pytest.raises(InputError, match="heads have 8 channels"):
        open_graph(model)

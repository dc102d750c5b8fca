"""Streams with a memory: against one whole forward pass, resumed, repeated, and flat in memory."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.helpers.language_models import VOCABULARY, language_model
from torch.nn import functional

from lighten.errors import BuildError, InputError
from lighten.train.datasets.packed import join
from lighten.train.datasets.streams import Streams
from lighten.train.objectives import CausalStream, stream
from lighten.train.orders import Sequential

STREAMS, SEGMENT = 3, 8


def data(tokens: int = 3 * 37 + 1, starts=None) -> Streams:
    ids = np.random.default_rng(0).integers(5, VOCABULARY, tokens).astype(np.int32)
    return Streams(ids, STREAMS, SEGMENT, starts)


def batches(streams: Streams):
    return [streams.batch(step.index) for step in Sequential(STREAMS).plan(streams.lengths, 10, 0, 0)]


def rows(streams: Streams) -> torch.Tensor:
    """The whole streams and the token after them [streams, tokens + 1]."""
    length = streams.per_stream
    ids = [streams.tokens[row * length : (row + 1) * length + 1] for row in range(STREAMS)]
    return torch.from_numpy(np.stack(ids).astype(np.int64))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_memory_that_covers_all_gives_the_loss_of_one_forward_pass(attention):
    model = language_model("llama", attn_implementation=attention)
    streams = data()
    objective = CausalStream(STREAMS, SEGMENT, memory=1000)
    with torch.no_grad():
        found = [float(objective.loss(model, batch)) for batch in batches(streams)]
        whole = rows(streams)
        logits = model(input_ids=whole[:, :-1]).logits
        each = functional.cross_entropy(logits.transpose(1, 2), whole[:, 1:], reduction="none")
    wanted = [float(part.sum()) for part in each.split(SEGMENT, 1)]
    assert found == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("memory", [0, 5, 12])
def test_a_short_memory_gives_what_a_window_gives(memory):
    """The keys of the last tokens, computed with what they themselves remembered, layer by layer."""
    model = language_model("llama", num_hidden_layers=1)  # one layer: a key depends on its own token alone
    streams = data()
    objective = CausalStream(STREAMS, SEGMENT, memory)
    whole = rows(streams)
    with torch.no_grad():
        for number, batch in enumerate(batches(streams)):
            begin = max(0, number * SEGMENT - memory)
            end = min(number * SEGMENT + SEGMENT, streams.per_stream)
            logits = model(input_ids=whole[:, begin:end]).logits[:, number * SEGMENT - begin :]
            wanted = functional.cross_entropy(
                logits.transpose(1, 2), whole[:, number * SEGMENT + 1 : end + 1], reduction="sum"
            )
            assert float(objective.loss(model, batch)) == pytest.approx(float(wanted), rel=1e-4)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_text_does_not_see_the_one_before(attention):
    model = language_model("llama", attn_implementation=attention)
    encoded = [
        np.random.default_rng(i).integers(5, VOCABULARY, size).astype(np.int32)
        for i, size in enumerate((9, 30, 5, 20))
    ]
    tokens, starts = join(encoded, end_id=4)
    streams = Streams(tokens, 1, SEGMENT, starts)
    objective = CausalStream(1, SEGMENT, memory=1000)
    found = 0.0
    with torch.no_grad():
        for step in Sequential(1).plan(streams.lengths, 10, 0, 0):
            found += float(objective.loss(model, streams.batch(step.index)))
        wanted = 0.0
        edges = [*starts.tolist(), len(tokens)]
        for first, end in itertools.pairwise(edges):
            piece = torch.from_numpy(tokens[first : end + 1].astype(np.int64))  # its end predicts the next one's start
            size = min(end, len(tokens) - 1) - first
            logits = model(input_ids=piece[None, :size]).logits[0]
            wanted += float(functional.cross_entropy(logits, piece[1 : size + 1], reduction="sum"))
    assert found == pytest.approx(wanted, rel=1e-4)


def train(model, objective, some):
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    for batch in some:
        objective.loss(model, batch).div(100).backward()
        optimizer.step()
        optimizer.zero_grad()
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first, second) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_resumed_in_the_middle_it_ends_bit_by_bit_the_same():
    steps = batches(data()) * 2  # two epochs: the second starts without memory
    undisturbed = train(language_model("llama"), CausalStream(STREAMS, SEGMENT, 12), steps)
    model, objective = language_model("llama"), CausalStream(STREAMS, SEGMENT, 12)
    train(model, objective, steps[:3])
    state = {name: value.clone() for name, value in objective.state_dict().items()}
    resumed = CausalStream(STREAMS, SEGMENT, 12)
    resumed.load_state_dict(state)
    assert same(train(model, resumed, steps[3:]), undisturbed)
    forgetful = language_model("llama")
    train(forgetful, CausalStream(STREAMS, SEGMENT, 12), steps[:3])
    with pytest.raises(BuildError, match="memory is in front of segment none"):
        train(forgetful, CausalStream(STREAMS, SEGMENT, 12), steps[3:])


def test_what_is_carried_is_detached_and_does_not_grow():
    model, objective = language_model("llama"), CausalStream(STREAMS, SEGMENT, 12)
    sizes = []
    for batch in batches(data(STREAMS * 20 * SEGMENT + 1)):
        objective.loss(model, batch).backward()
        state = objective.state_dict()
        assert not any(value.requires_grad for value in state.values())
        sizes.append(sum(value.untyped_storage().nbytes() for value in state.values()))
    assert len(sizes) == 20 and sizes[0] < sizes[1] and set(sizes[1:]) == {sizes[1]}
    assert state["0.states"].shape == (2, 2, 4, 12, 8)


def test_micro_batches_and_repeated_ones_change_nothing():
    model, steps = language_model("llama"), batches(data())
    streams = data()
    whole, parts = CausalStream(STREAMS, SEGMENT, 12), CausalStream(STREAMS, SEGMENT, 12)
    with torch.no_grad():
        for number, batch in enumerate(steps):
            wanted = float(whole.loss(model, batch))
            index = batch.index.numpy()
            first = parts.loss(model, streams.batch(index))  # memory ran out after it: once more, in two parts
            assert float(first) == pytest.approx(wanted, rel=1e-6)
            found = sum(float(parts.loss(model, streams.batch(some))) for some in (index[:1], index[1:]))
            assert found == pytest.approx(wanted, rel=1e-5), number
            parts.loss(model, replace(streams.batch(index[:1]), ghost=True))
    for name, value in whole.state_dict().items():
        assert torch.allclose(parts.state_dict()[name], value, atol=1e-5)


def test_positions_are_counted_anew_after_very_many_tokens(monkeypatch):
    monkeypatch.setattr(stream, "POSITIONS", 2 * SEGMENT)
    model, objective = language_model("llama"), CausalStream(STREAMS, SEGMENT, 100)
    with torch.no_grad():
        for number, batch in enumerate(batches(data())):
            loss = float(objective.loss(model, batch))
            fresh = float(CausalStream(STREAMS, SEGMENT, 0).loss(model, batch))
            assert (loss == pytest.approx(fresh, rel=1e-6)) == (number % 2 == 0)


def test_models_that_cannot_go_on_are_refused():
    batch = batches(data())[0]
    for model, rule in (
        (language_model("gpt2"), "no rotary positions"),
        (
            language_model("llama", rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}),
            "stretches",
        ),
        (language_model("gemma2"), "sliding_attention"),
    ):
        with pytest.raises(InputError, match=rule):
            CausalStream(STREAMS, SEGMENT, 8).loss(model, batch)
    model = language_model("llama").train()
    model.gradient_checkpointing_enable()
    with pytest.raises(InputError, match="gradient checkpointing"):
        CausalStream(STREAMS, SEGMENT, 8).loss(model, batch)


def test_streams_out_of_order_are_noticed():
    model, steps = language_model("llama"), batches(data())
    objective = CausalStream(STREAMS, SEGMENT, 8)
    objective.loss(model, steps[0])
    with pytest.raises(BuildError, match="goes on at segment 2, but its memory is in front of segment 1"):
        objective.loss(model, steps[2])
    with pytest.raises(BuildError, match="one segment of each"):
        objective.loss(model, data().batch(np.array([0, 3])))

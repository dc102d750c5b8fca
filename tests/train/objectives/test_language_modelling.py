"""Masked, causal and sequence-to-sequence losses with their data sets, against the obvious computation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from tests.helpers.language_models import VOCABULARY, language_model
from torch.nn import functional

from lighten.errors import InputError
from lighten.train.batches import Batch, pad
from lighten.train.datasets.masked import MaskedRows
from lighten.train.datasets.packed import PackedBlocks, join, pack
from lighten.train.datasets.pairs import PairRows
from lighten.train.objectives import CausalLanguageModel, MaskedLanguageModel, SequenceToSequence
from lighten.train.objectives.separation import check_causal_packing, check_masked_packing

SIZES = (9, 3, 14, 6, 5, 4)


def texts(seed: int = 0):
    rng = np.random.default_rng(seed)
    return [np.concatenate([[4], rng.integers(5, VOCABULARY, size - 2), [2]]).astype(np.int32) for size in SIZES]


def masked_rows(**options) -> MaskedRows:
    options = {"pad_id": 0, **options}
    return MaskedRows(texts(), mask_id=3, vocabulary=VOCABULARY, special_ids=[2, 4], probability=0.3, **options)


def per_text(model, rows: MaskedRows, first: int = 0) -> float:
    """Every text alone, all logits at once."""
    total = 0.0
    for text in range(len(SIZES)):
        seen, labels = rows.masked(text, 0)
        positions = torch.arange(first, first + len(seen))[None]
        logits = model(input_ids=torch.from_numpy(seen).long()[None], position_ids=positions).logits[0]
        total += functional.cross_entropy(logits, torch.from_numpy(labels), reduction="sum").item()
    return total


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(("kind", "first"), [("bert", 0), ("roberta", 2), ("distilbert", 0), ("electra", 0)])
def test_padded_and_packed_rows_lose_what_single_texts_lose(kind, first, attention):
    model = language_model(kind, attn_implementation=attention)
    pad_id = first - 1 if first else 0
    rows = masked_rows(pad_id=pad_id)
    packed = masked_rows(pad_id=pad_id, groups=pack(rows.lengths, 16), first_position=first)
    assert len(packed.lengths) < len(rows.lengths) and packed.lengths.max() <= 16
    wanted = per_text(model, rows, first)
    objective = MaskedLanguageModel()
    padded = objective.loss(model, rows.batch(np.arange(len(SIZES))))
    assert float(padded) == pytest.approx(wanted, rel=1e-4)
    check_masked_packing(model, first)
    together = objective.loss(model, packed.batch(np.arange(len(packed.lengths))))
    assert float(together) == pytest.approx(wanted, rel=1e-4)
    together.backward()
    assert all(bool(value.grad.isfinite().all()) for value in model.parameters() if value.grad is not None)


def test_models_that_cannot_pack_say_no():
    with pytest.raises(InputError, match="local attention"):
        check_masked_packing(language_model("modernbert"))
    flash = language_model("bert")
    flash.config._attn_implementation = "flex_attention"
    with pytest.raises(InputError, match="flex_attention"):
        check_masked_packing(flash)
    blind = language_model("bert")
    blind.bert.forward = lambda *args, attention_mask=None, forward=blind.bert.forward, **given: forward(
        *args, **given
    )
    with pytest.raises(InputError, match="does not keep texts of one row apart"):
        check_masked_packing(blind)


def test_causal_rows_predict_every_token_but_the_first():
    model = language_model("llama")
    encoded = texts()
    loss = CausalLanguageModel().loss(model, pad(encoded, np.arange(len(SIZES)), 0))
    total = 0.0
    for ids in encoded:
        row = torch.from_numpy(ids).long()
        logits = model(input_ids=row[None]).logits[0]
        total += float(functional.cross_entropy(logits[:-1], row[1:], reduction="sum"))
    assert float(loss) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_packed_blocks_of_separate_texts_lose_what_single_pieces_lose(kind, attention):
    model = language_model(kind, attn_implementation=attention)
    model.train()  # as in training: where nobody says no, a cache is made and the separation lost
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    check_causal_packing(model)
    tokens, starts = join(texts(), end_id=1)
    blocks = PackedBlocks(tokens, 16, starts)
    every = np.arange(len(blocks.lengths))
    loss = CausalLanguageModel().loss(model, blocks.batch(every))
    total, count = 0.0, 0
    edges = sorted({*starts.tolist(), len(tokens)})
    for first, end in itertools.pairwise(edges):
        for begin in range(0, len(tokens), 16):  # a text goes on in the next block without what was before
            low, high = max(first, begin), min(end, begin + 17)
            if high - low > 1:
                piece = torch.from_numpy(tokens[low:high].astype(np.int64))
                logits = model(input_ids=piece[None, :-1]).logits[0]
                total += float(functional.cross_entropy(logits, piece[1:], reduction="sum"))
                count += high - low - 1
    assert float(loss) == pytest.approx(total, rel=1e-4)
    assert blocks.units(every) == count == blocks.batch(every).units


def test_blocks_of_joined_texts_see_across():
    model = language_model("llama")
    tokens, _ = join(texts(), end_id=1)
    blocks = PackedBlocks(tokens, 16)
    batch = blocks.batch(np.array([0, 2]))
    logits = model(input_ids=batch.ids).logits
    wanted = functional.cross_entropy(logits.flatten(0, 1), batch.targets["labels"].flatten(), reduction="sum")
    assert float(CausalLanguageModel(chunk=3).loss(model, batch)) == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.parametrize("kind", ["bart", "t5"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_sequence_to_sequence_equals_the_models_own_loss(kind, smoothing):
    model = language_model(kind)
    pad_id, start = model.config.pad_token_id, model.config.decoder_start_token_id
    pairs = PairRows(texts(1), texts(2)[::-1], pad_id, start)
    batch = pairs.batch(np.array([0, 2, 5]))
    labels = batch.targets["labels"]
    assert torch.equal(
        batch.inputs["decoder_input_ids"][labels != -100],
        model.prepare_decoder_input_ids_from_labels(labels=labels)[labels != -100],
    )
    loss = SequenceToSequence(smoothing).loss(model, batch)
    own = model(input_ids=batch.ids, attention_mask=batch.mask, labels=labels)
    wanted = functional.cross_entropy(
        own.logits.flatten(0, 1), labels.flatten(), reduction="sum", label_smoothing=smoothing
    )
    assert float(loss) == pytest.approx(float(wanted), rel=1e-5)
    if not smoothing:
        assert float(loss) / batch.units == pytest.approx(float(own.loss), rel=1e-5)


def test_a_batch_without_labels_or_mask_is_an_error_not_a_guess():
    batch = PackedBlocks(np.arange(9, dtype=np.int32), 4).batch(np.array([0]))
    with pytest.raises(KeyError):
        CausalLanguageModel().loss(language_model("llama"), Batch(batch.inputs, batch.index, 1.0, 4))

from __future__ import annotations

import numpy as np
import pytest
from tests.helpers.decoders import TEXTS, decoder, decoder_folder

from lighten.errors import InputError
from lighten.measure.language import (
    TextLosses,
    as_json,
    checkpoint_losses,
    folder_losses,
    perplexity_interval,
    perplexity_ratio,
    text_losses,
)
from lighten.measure.language_peers import load_peer
from lighten.measure.language_speed import FolderModel, LanguageSpeed, TokenModel, speed_ratio, time_language_models
from lighten.runtime import load_generator

__all__ = ["decoder", "decoder_folder"]


def test_folder_and_checkpoint_have_the_same_perplexity(decoder, decoder_folder):
    texts = [*TEXTS[:3], ""]
    found = folder_losses(load_generator(decoder_folder), texts, window=10)
    expected = checkpoint_losses(decoder, texts, window=10)
    np.testing.assert_allclose(found.sums, expected.sums, rtol=1e-4)
    np.testing.assert_array_equal(found.tokens, expected.tokens)
    assert as_json(found, 0)["documents"] == 3


def test_windows_predict_every_token_but_their_first():
    seen = []

    def predict(ids):
        seen.append(ids.tolist())
        return np.full(len(ids) - 1, -2.0)

    documents = [np.arange(7), np.arange(1), np.arange(4), np.arange(5)]
    found = text_losses(predict, documents, window=4)
    assert seen == [[0, 1, 2, 3], [4, 5, 6], [0, 1, 2, 3], [0, 1, 2, 3]]
    assert found.tokens.tolist() == [5, 3, 3] and found.sums.tolist() == [10.0, 6.0, 6.0]
    assert found.perplexity == pytest.approx(np.exp(2))
    with pytest.raises(InputError, match="two tokens"):
        text_losses(predict, documents[1:2], window=4)
    with pytest.raises(InputError, match="at least 2"):
        text_losses(predict, documents, window=1)


def test_intervals():
    random = np.random.default_rng(0)
    tokens = random.integers(50, 100, 40)
    hardness = random.normal(3, 0.5, 40)
    reference = TextLosses(hardness * tokens, tokens)
    worse = TextLosses((hardness + 0.04 + random.normal(0, 0.01, 40)) * tokens, tokens)
    single, ratio = perplexity_interval(reference, 0), perplexity_ratio(worse, reference, 0)
    assert single.low < single.value < single.high
    assert 1.03 < ratio.low < ratio.value < ratio.high < 1.05
    # In pairs it is far narrower than two intervals side by side.
    assert (ratio.high - ratio.low) < 0.1 * (single.high - single.low) / single.value
    assert perplexity_ratio(reference, reference, 0) == (1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="same documents"):
        perplexity_ratio(reference, TextLosses(hardness[:3], tokens[:3]), 0)


class Recorder(TokenModel):
    vocabulary = 50

    def __init__(self):
        self.calls = []

    def prefill(self, ids, room):
        self.calls.append(("prompt", tuple(ids), room))
        return [len(ids)], 7

    def decode(self, cache, token):
        assert token == 7 + len(cache) - 1
        self.calls.append(("token", token))
        return [*cache, token], token + 1


def test_every_model_reads_and_writes_the_same():
    models = {"a": Recorder(), "b": Recorder()}
    done = []
    found = time_language_models(models, prompt=5, written=3, rounds=4, progress=done.append)
    assert models["a"].calls == models["b"].calls and len(models["a"].calls) == 5 * 4
    assert done == [0.0, 0.25, 0.5, 0.75, 1.0]
    for speed in found.values():
        assert speed.prefill_seconds.shape == speed.decode_seconds.shape == (4,)
    with pytest.raises(InputError, match="at least 2"):
        time_language_models(models, rounds=1)


def test_both_kinds_of_model_write_the_same_text(decoder, decoder_folder):
    ids = np.arange(5, 15)
    written = []
    for model in (FolderModel(load_generator(decoder_folder)), load_peer(decoder)):
        cache, token = model.prefill(ids, 30)
        said = [token]
        for _ in range(8):
            cache, token = model.decode(cache, token)
            said.append(token)
        written.append(said)
    assert written[0] == written[1]


def test_numbers_from_seconds():
    fast = LanguageSpeed(np.array([0.1, 0.1, 0.2]), np.array([1.0, 2.0, 1.0]), prompt=10, written=20)
    slow = LanguageSpeed(np.array([0.2, 0.2, 0.2]), np.array([3.0, 6.0, 3.0]), prompt=10, written=20)
    assert fast.prefill_per_second().value == 100 and fast.decode_per_second().value == 20
    assert speed_ratio(fast, slow) == (3.0, 3.0, 3.0)
    assert speed_ratio(fast, slow, "prefill").value == 2.0

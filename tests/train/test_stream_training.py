"""The loop with streams that remember: killed and resumed, the weights are the same to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from tests.helpers.language_models import VOCABULARY, language_model
from tests.helpers.training import Killed, identical, weights

from lighten.train.checkpoint import Checkpoints
from lighten.train.datasets.streams import Streams
from lighten.train.loop import Settings, Training
from lighten.train.objectives import CausalStream
from lighten.train.orders import Sequential
from lighten.train.sampler import Sampler

STREAMS, SEGMENT, MEMORY = 3, 8, 16


def training(folder=None, **options) -> Training:
    tokens = np.random.default_rng(0).integers(5, 9, 200).astype(np.int32)
    assert tokens.max() < VOCABULARY
    sampler = Sampler(Streams(tokens, STREAMS, SEGMENT), STREAMS * SEGMENT, 0, Sequential(STREAMS))
    settings = Settings(epochs=2, learning_rate=3e-3, precision="fp32", **options)
    objective = CausalStream(STREAMS, SEGMENT, MEMORY)
    return Training(language_model("llama"), sampler, objective, lambda precision: 0.0, settings, checkpoints=folder)


@pytest.mark.parametrize("micro_tokens", [None, SEGMENT])
def test_resumed_weights_are_identical(tmp_path, monkeypatch, micro_tokens):
    monkeypatch.setattr(Checkpoints, "due", lambda self: self.folder is not None)
    whole = training(micro_tokens=micro_tokens)
    report = whole.run()
    losses = [entry["loss"] for entry in report.history if entry["loss"] is not None]
    assert losses[-1] < losses[0] - 1
    for step in (1, 4, whole.per_epoch, whole.per_epoch + 2):
        killed = training(tmp_path, micro_tokens=micro_tokens)

        def tick(killed=killed, step=step) -> None:
            if killed.state.step == step:
                raise Killed

        killed.tick = tick
        with pytest.raises(Killed):
            killed.run()
    resumed = training(tmp_path, micro_tokens=micro_tokens)
    resumed.run()
    assert identical(weights(resumed), weights(whole))
    assert identical(resumed.objective.state_dict(), whole.objective.state_dict())

"""Which encoder-decoders can be drawn is known from their configuration alone."""

from __future__ import annotations

import pytest

from lighten.models.encoder_decoder import can_draw


@pytest.mark.parametrize(
    ("encoder", "decoder", "drawn"),
    [
        ("bert", "bert", True),
        ("electra", "bert", True),
        ("roberta", "roberta", True),
        ("electra", "electra", False),  # its output goes through a narrower layer
        ("distilbert", "bert", False),
        ("bert", "gpt2", False),
    ],
)
def test_by_the_halves(encoder: str, decoder: str, drawn: bool) -> None:
    config = {
        half: {"model_type": kind, "hidden_size": 32} for half, kind in (("encoder", encoder), ("decoder", decoder))
    }
    assert can_draw({"model_type": "encoder-decoder", **config}) == drawn


def test_halves_of_two_widths_are_not() -> None:
    halves = {
        "encoder": {"model_type": "bert", "hidden_size": 32},
        "decoder": {"model_type": "bert", "hidden_size": 64},
    }
    assert not can_draw({"model_type": "encoder-decoder", **halves})
    assert can_draw({"model_type": "bart"}) and not can_draw({"model_type": "led"})

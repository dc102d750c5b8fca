from __future__ import annotations

import json

import pytest
from tests.workshop.compare_attention.samples import TINY, Machine

from lighten.errors import InputError
from lighten.workshop.compare_attention import compare
from lighten.workshop.compare_attention.compare import compare_attention
from lighten.workshop.compare_attention.kinds import KINDS, build, inputs_for
from lighten.workshop.compare_attention.point import attention


def request(kind, **options):
    given = {"do": "attention", "kind": kind, "config": TINY, "tokens": 24, "window": 4, "threads": 1, "seed": 0}
    return {**given, "what": ["forward", "training"], "calls": 2, "seconds": 0.01, **options}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_measured(kind):
    found = attention(request(kind), lambda share: None)
    assert list(found) == ["forward", "training"]
    for one in found.values():
        assert one["seconds"] and min(one["seconds"]) > 0
        assert one["peak_mb"] >= one["ready_mb"] > 50


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_of_the_layers_learns(kind):
    model = build(kind, TINY, 24, 4).train()
    model(**inputs_for(kind, TINY, 24)).last_hidden_state.square().mean().backward()
    assert all(weight.grad is not None for name, weight in model.named_parameters() if "pooler" not in name)


def test_full_window_and_plain_are_one_model():
    import torch

    inputs = inputs_for("full", TINY, 24)
    with torch.inference_mode():
        full, plain, wide = (
            build(kind, TINY, 24, window).eval()(**inputs).last_hidden_state
            for kind, window in (("full", 4), ("plain", 4), ("window", 24))
        )
        narrow = build("window", TINY, 24, 2).eval()(**inputs).last_hidden_state
    assert torch.allclose(full, plain, atol=1e-5)
    assert torch.allclose(full, wide, atol=1e-5)
    assert (full - narrow).abs().max() > 1e-3


def test_the_document(monkeypatch):
    machine = Machine()

    def ask(asked, worker):
        assert worker == "lighten.workshop.compare_attention.point"
        json.dumps(asked)
        return machine.ask(asked["kind"], asked["tokens"], asked["what"])

    monkeypatch.setattr(compare, "ask", ask)
    document = compare_attention(tokens=[64, 16, 32, 32], window=8, kinds=["full", "longformer"], what=["training"])
    assert document["tokens"] == [16, 32, 64] and document["what"] == ["training"]
    assert len(document["points"]) == 6 and document["rounds"] == 3
    assert document["model"]["layers"] == 6 and document["model"]["source"] is None
    json.dumps(document)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kinds": ["ful"]}, "did you mean 'full'"),
        ({"kinds": []}, "at least one"),
        ({"window": 0}, "at least 1 token on each side but is 0"),
        ({"window": 17}, "above the shortest length, 16 tokens"),
        ({"tokens": []}, "at least one length"),
        ({"tokens": [1]}, "from 2 to 200,000 tokens but is 1"),
        ({"tokens": [300_000]}, "but is 300,000"),
        ({"what": ["learning"]}, "no work 'learning'"),
        ({"minutes": 0}, "--minutes: must be above 0"),
        ({"minutes": float("nan")}, "--minutes"),
        ({"config": {**TINY, "model_type": "gpt2"}}, "'gpt2' is not supported"),
        ({"model": "no/such/folder"}, "no/such/folder"),
        ({"data": "rows.csv"}, "--data rows.csv: agreement is that of a model's weights"),
    ],
)
def test_bad_input_is_refused_before_work_starts(monkeypatch, options, words):
    monkeypatch.setattr(compare, "ask", None)
    with pytest.raises(InputError, match=words):
        compare_attention(**{"tokens": [16, 32], "window": 4, **options})


def test_a_model_whose_windows_are_its_own_is_refused():
    from tests.helpers.checkpoints import make_config

    with pytest.raises(InputError, match=r"model: the comparison takes bert, .* but the model is a modernbert"):
        compare_attention(config=make_config("modernbert", 60).to_dict(), tokens=[64])

"""The step that takes layer normalisation out."""

from __future__ import annotations

import pytest

from lighten.compress.steps import Distil, Intermediate, Layers, Norm, Vocabulary
from lighten.errors import InputError
from lighten.export.checkpoint import graph_of
from lighten.models.load import load_classifier
from lighten.models.norms import NoNorm, TokenBatchNorm
from lighten.pipeline.files import read_json


def norms(folder):
    return [
        m for m in load_classifier(folder, ["bad", "good"], 0).modules() if isinstance(m, (NoNorm, TokenBatchNorm))
    ]


@pytest.mark.parametrize("kind", ["none", "batch"])
def test_the_norms_are_replaced_and_the_loss_is_told(bert, target, make_context, kind):
    found = Norm(kind=kind, texts=10).apply(bert, target, make_context())
    assert found["norm"] == kind and found["texts"] == 10 and len(found["missed"]) == 5
    assert all(0 <= share < 1 for share in found["missed"]) and len(norms(target)) == 5


@pytest.mark.parametrize("kind", ["none", "batch"])
@pytest.mark.parametrize(
    "step", [Layers(count=1), Intermediate(width=40), Vocabulary(), Distil(epochs=1, precision="fp32")]
)
def test_later_steps_keep_the_norms(bert, tmp_path, make_context, teacher, kind, step):
    for name in ("norm", "next"):
        (tmp_path / name).mkdir()
    context = make_context(teacher=teacher)
    Norm(kind=kind).apply(bert, tmp_path / "norm", context)
    step.apply(tmp_path / "norm", tmp_path / "next", context)
    assert len(norms(tmp_path / "next")) == (3 if step.name == "layers" else 5)
    assert read_json(tmp_path / "next/config.json")["lighten_norm"] == kind
    assert not [node.op_type for node in graph_of(tmp_path / "next").graph.node if "Norm" in node.op_type]


def test_distillation_recovers_most(bert, tmp_path, make_context, teacher):
    for name in ("norm", "next"):
        (tmp_path / name).mkdir()
    context = make_context(teacher=teacher)
    Norm().apply(bert, tmp_path / "norm", context)
    report = Distil(epochs=6, precision="fp32").apply(tmp_path / "norm", tmp_path / "next", context)
    losses = [entry["loss"] for entry in report["history"] if entry["loss"] is not None]
    assert losses[-1] < 0.7 * losses[0]


def test_another_kind_afterwards_is_refused(bert, tmp_path, make_context):
    for name in ("norm", "next"):
        (tmp_path / name).mkdir()
    Norm().apply(bert, tmp_path / "norm", make_context())
    with pytest.raises(InputError, match="'none' cannot be given 'batch'"):
        Norm(kind="batch").apply(tmp_path / "norm", tmp_path / "next", make_context())

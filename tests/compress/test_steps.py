"""What every model step promises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from pydantic import ValidationError
from tests.helpers.checkpoints import check_loads, token_batch

from lighten.compress import steps as registered
from lighten.compress.steps import (
    Distil,
    Extend,
    Factorise,
    Finetune,
    Frozen,
    Intermediate,
    Layers,
    Linear,
    Ngrams,
    Norm,
    QuantisationAwareTraining,
    Quantise,
    Sparsify,
    StaticEmbeddings,
    Student,
    Vocabulary,
    Width,
)
from lighten.errors import InputError
from lighten.export.checkpoint import graph_of
from lighten.models.checkpoint import read_config
from lighten.pipeline import step_from_spec, step_to_dict, steps_of
from lighten.pipeline.files import checksum

STEPS = [
    Finetune(epochs=1, precision="fp32"),
    Distil(epochs=1, precision="fp32"),
    Layers(count=1),
    Layers(count=1, map="first"),
    Layers(count=1, map="searched", texts=20),
    Layers(kept=(1,)),
    Student(layers=1, hidden=24, heads=3),
    Student(preset="bert-tiny", hidden=16, ffn=32, init="random"),
    Factorise(width=16),
    Intermediate(width=40),
    Intermediate(width=40, importance="taylor", texts=20),
    Width(hidden=24, texts=20),
    Width(hidden=16, importance="magnitude", texts=20),
    Sparsify(epochs=1, precision="fp32"),
    Sparsify(method="movement", epochs=1, precision="fp32", store="packed"),
    Sparsify(pattern="2:4", schedule="one-shot"),
    Norm(),
    Norm(kind="batch", texts=20),
    Vocabulary(),
    Vocabulary(size=75),
    Quantise(),
    Extend(tokens=64, window=4, layers="LG"),
    Quantise(bits=8),
    Quantise(format="int8-static", calibration="entropy"),
    Quantise(format="int4-weights", block=16),
    Quantise(format="mixed", costs="operations"),
    QuantisationAwareTraining(format="int8-static", precision="fp32"),
    Linear(),
    Linear(ngrams=1, min_count=1),
    Frozen(),
    Ngrams(),
    Ngrams(min_count=1, strengths=(1.0,)),
    StaticEmbeddings(width=16, hidden=8, epochs=1),
    StaticEmbeddings(width=8, hidden=8, ngrams=64, epochs=1),
]
every = pytest.mark.parametrize("step", STEPS, ids=lambda s: f"{s.name}-{STEPS.index(s)}")


def contents(folder: Path) -> dict[str, str]:
    return {f.name: checksum(f) for f in sorted(folder.rglob("*")) if f.is_file()}


def apply(step, source: Path, target: Path, make_context, teacher: Path, **options):
    target.mkdir()
    return step.apply(source, target, make_context(teacher=teacher, checkpoints=target.parent / "state", **options))


def test_all_are_registered():
    language = {"finetune-language", "distil-language"}  # of decoders: see test_tune_language.py
    assert (
        set(steps_of("model"))
        == {step.name for step in STEPS} | language
        == {getattr(registered, name).name for name in registered.__all__}
    )


@every
def test_a_step_is_frozen_and_knows_its_fields(step):
    field = next(iter(type(step).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(step, field, getattr(step, field))
    with pytest.raises(ValidationError, match=r"[Ee]xtra"):
        type(step)(**{**step.model_dump(), "unheard_of": 1})
    misspelt = field[:-1] + "x"
    with pytest.raises(
        InputError, match=f"steps.0., step .*{misspelt!r} is no field; known are .*did you mean {field!r}"
    ):
        step_from_spec("model", {step.name: {misspelt: 1}}, "steps[0]")


@every
def test_a_step_survives_its_record(step):
    record = json.loads(json.dumps(step_to_dict(step)))
    assert record["name"] == step.name and record["version"] == step.version
    assert step_from_spec("model", record, "here") == step
    fields = {key: value for key, value in record.items() if key not in ("name", "version")}
    assert step_from_spec("model", {step.name: fields}, "here") == step


@every
def test_a_step_documents_its_fields(step):
    assert type(step).__doc__ and type(step).apply.__doc__


@every
def test_the_result_can_be_drawn_and_follows_the_seed(step, bert, tmp_path, make_context, teacher):
    before = contents(bert)
    first = apply(step, bert, tmp_path / "1", make_context, teacher)
    again = apply(step, bert, tmp_path / "2", make_context, teacher)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert contents(bert) == before
    timing = ("seconds", "checkpoint_seconds", "seconds_of_looks", "tokens_per_second", "history")
    assert {k: v for k, v in first.items() if k not in timing} == {k: v for k, v in again.items() if k not in timing}
    json.dumps(first, allow_nan=False)
    graph = graph_of(tmp_path / "1")
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    ids, mask = token_batch(60, 3, 8, 0)
    feeds = {"input_ids": ids, "attention_mask": mask}
    (logits,) = session.run(["logits"], {i.name: feeds[i.name] for i in session.get_inputs()})
    assert logits.shape == (3, 2) and np.isfinite(logits).all()
    assert (tmp_path / "1/tokenizer.json").is_file()
    assert read_config(tmp_path / "1")["model_type"] == ("electra" if step.name == "factorise" else "bert")


def post_norm_only(step) -> bool:
    """Whether a step is for encoders whose norms are behind their sums."""
    cut = isinstance(step, Student) and step.init != "random"
    judged = isinstance(step, Intermediate) and step.importance != "magnitude"
    return cut or judged or isinstance(step, Width | Norm | Factorise | QuantisationAwareTraining)


@every
def test_a_modernbert_is_taken_or_refused_before_any_work(step, checkpoints, tmp_path, make_context, teacher):
    source = checkpoints["modernbert"]
    config = read_config(source)
    if post_norm_only(step):
        with pytest.raises(InputError, match=r"steps\[3\]: .* takes bert, .*, but the model is a modernbert"):
            step.check_model(config, "steps[3]")
        with pytest.raises(InputError, match="but the model is a modernbert"):
            apply(step, source, tmp_path / "1", make_context, teacher)
        assert not list((tmp_path / "1").iterdir())
        return
    step.check_model(config, "steps[3]")
    apply(step, source, tmp_path / "1", make_context, teacher)
    session = onnxruntime.InferenceSession(
        graph_of(tmp_path / "1").SerializeToString(), providers=["CPUExecutionProvider"]
    )
    ids, mask = token_batch(60, 3, 8, 0)
    feeds = {"input_ids": ids, "attention_mask": mask}
    (logits,) = session.run(["logits"], {i.name: feeds[i.name] for i in session.get_inputs()})
    assert logits.shape == (3, 2) and np.isfinite(logits).all()
    assert read_config(tmp_path / "1")["model_type"] == "modernbert"
    if step.name not in ("linear", "static", "frozen", "sparsify"):
        check_loads(tmp_path / "1")


@pytest.mark.parametrize(
    "step",
    [
        Finetune(epochs=0.5),
        Layers(count=1),
        Intermediate(width=40),
        Width(hidden=16),
        Sparsify(),
        Norm(),
        Vocabulary(),
        Frozen(),
    ],
)
def test_steps_on_weights_refuse_a_linear_model(step, bert, tmp_path, make_context, teacher):
    apply(Linear(), bert, tmp_path / "linear", make_context, teacher)
    with pytest.raises(InputError, match=r"no model\.safetensors; the folder holds config\.json, linear\.safetensors"):
        apply(step, tmp_path / "linear", tmp_path / "next", make_context, teacher)


@pytest.mark.parametrize(
    "step",
    [
        Layers(count=1),
        Intermediate(width=40),
        Width(hidden=16),
        Sparsify(epochs=0.5),
        Sparsify(schedule="one-shot"),
        Norm(),
        Vocabulary(),
        Finetune(epochs=0.5),
    ],
)
def test_a_wish_for_int8_is_not_forgotten(step, bert, tmp_path, make_context, teacher):
    apply(Quantise(bits=8), bert, tmp_path / "int8", make_context, teacher)
    apply(step, tmp_path / "int8", tmp_path / "next", make_context, teacher)
    assert "DynamicQuantizeMatMul" in {node.op_type for node in graph_of(tmp_path / "next").graph.node}


@pytest.mark.parametrize(
    "step",
    [
        Layers(count=1),
        Intermediate(width=40),
        Width(hidden=16),
        Sparsify(schedule="one-shot"),
        Norm(),
        Vocabulary(),
        Quantise(),
    ],
)
def test_a_frozen_head_is_not_forgotten(step, bert, tmp_path, make_context, teacher):
    apply(Frozen(), bert, tmp_path / "frozen", make_context, teacher)
    apply(step, tmp_path / "frozen", tmp_path / "next", make_context, teacher)
    assert "ReduceSum" in {node.op_type for node in graph_of(tmp_path / "next").graph.node}


def test_fine_tuning_replaces_a_frozen_head(bert, tmp_path, make_context, teacher):
    apply(Frozen(), bert, tmp_path / "frozen", make_context, teacher)
    apply(Finetune(epochs=0.5), tmp_path / "frozen", tmp_path / "next", make_context, teacher)
    assert not (tmp_path / "next/frozen.safetensors").exists()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"layers": {"count": 0}}, "count: .* greater than or equal to 1"),
        ({"layers": {"count": 2, "map": "middle"}}, "map: .*'first', 'last', 'spread'"),
        ({"intermediate": {"width": 4}}, "width: .* greater than or equal to 8"),
        ({"norm": {"kind": "rms"}}, "kind: .*'none' or 'batch'"),
        ({"quantise": {"bits": 4}}, "bits: .* greater than or equal to 7"),
        ({"quantise": {"format": "int4"}}, "format: .*'int8'"),
        ("quantize", "'quantize' is no step; .*did you mean 'quantise'"),
    ],
)
def test_values_out_of_range(spec, said):
    with pytest.raises(InputError, match=said):
        step_from_spec("model", spec, "steps[0]")

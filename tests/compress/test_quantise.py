"""The note on precision, and what is measured for it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file
from tests.compress.conftest import examples
from tests.helpers.checkpoints import check_loads, same_state, token_batch

from lighten.compress import calibration
from lighten.compress import quantise as module
from lighten.compress.steps import Finetune, Frozen, Linear, Quantise
from lighten.errors import InputError
from lighten.export.checkpoint import graph_of, precision_of
from lighten.models.checkpoint import read_state
from lighten.models.quantised.precision import product_names
from lighten.models.read import read_encoder
from lighten.pipeline.files import read_json, write_json
from lighten.pipeline.step import step_from_spec

EVERY = [
    {"format": "int8-static"},
    {"format": "int8-static", "calibration": "entropy"},
    {"format": "int8-static", "calibration": "min-max"},
    {"format": "int8-weights"},
    {"format": "int4-weights", "accuracy": 0},
    {"format": "mixed", "costs": "operations"},
    {"format": "mixed", "costs": "operations", "activations": "static"},
]


@pytest.fixture(scope="module")
def trained(bert, make_context, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    Finetune(epochs=4, learning_rate=2e-3).apply(bert, folder, make_context(train=256))
    return folder


def logits_of(folder, ids, mask):
    session = onnxruntime.InferenceSession(graph_of(folder).SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]


@pytest.mark.parametrize("bits", [7, 8])
def test_quantise_notes_what_is_wanted(bert, target, make_context, bits):
    assert Quantise(bits=bits).apply(bert, target, make_context()) == {"format": "int8", "bits": bits}
    assert json.loads((target / "quantise.json").read_text()) == {"format": "int8", "bits": bits}
    assert same_state(read_state(target), read_state(bert))


def test_quantise_again_changes_its_own_note_alone(bert, tmp_path, make_context):
    for name in "ab":
        (tmp_path / name).mkdir()
    Quantise(bits=7).apply(bert, tmp_path / "a", make_context())
    (tmp_path / "a/manifest.json").write_text("{}")
    Quantise(bits=8).apply(tmp_path / "a", tmp_path / "b", make_context())
    assert [read_json(tmp_path / name / "quantise.json")["bits"] for name in "ab"] == [7, 8]


@pytest.mark.parametrize("fields", EVERY, ids=lambda f: "-".join(map(str, f.values())))
def test_every_format_answers_nearly_as_fp32(trained, target, make_context, fields):
    """At lengths that no calibration text has, several texts with padding at once."""
    metrics = Quantise.model_validate(fields).apply(trained, target, make_context(validation=64))
    assert metrics["format"] == read_json(target / "quantise.json")["format"] == fields["format"]
    four = fields["format"].startswith("int4")
    assert metrics["agreement"] >= (0.85 if four else 0.96)
    # What was chosen on some texts is judged on others.
    assert metrics["judged_texts"] + metrics.get("chosen_on", 0) == 64
    assert ("chosen_on" in metrics) == (fields["format"] == "mixed")
    assert metrics["agreement_by_class"].keys() == {"bad", "good"}
    json.dumps(metrics)
    check_loads(target)
    for rows, tokens in ((1, 1), (1, 33), (9, 40)):
        ids, mask = token_batch(read_encoder(trained).words.shape[0], rows, tokens, 0)
        wanted, found = logits_of(trained, ids, mask), logits_of(target, ids, mask)
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).mean() < (1.0 if four else 0.2) * max(1.0, np.abs(wanted).mean())


@pytest.mark.parametrize("fields", EVERY[:1] + EVERY[4:], ids=lambda f: f["format"])
def test_a_frozen_encoder_keeps_its_head(bert, tmp_path, target, make_context, fields):
    (tmp_path / "frozen").mkdir()
    context = make_context(train=128)
    Frozen().apply(bert, tmp_path / "frozen", context)
    metrics = Quantise.model_validate(fields).apply(tmp_path / "frozen", target, context)
    assert metrics["agreement"] > 0.8 and (target / "frozen.safetensors").is_file()
    ids, mask = token_batch(90, 6, 14, 0)
    wanted, found = logits_of(tmp_path / "frozen", ids, mask), logits_of(target, ids, mask)
    four = fields["format"].startswith("int4")  # sixteen steps for 32 inputs
    assert np.abs(found - wanted).mean() < (0.6 if four else 0.3) * wanted.std()


def test_several_labels_per_text_are_judged_one_by_one(trained, target, make_context):
    context = make_context()
    more = {"labels": [[label] for label in context.validation.labels]}
    context = replace(context, validation=replace(context.validation, more=more))
    metrics = Quantise(format="mixed", costs="operations").apply(trained, target, context)
    assert 0.9 < metrics["agreement"] <= 1 and set(metrics["agreement_by_class"]) == {"bad", "good"}


def test_it_is_the_same_every_time(trained, tmp_path, make_context):
    step = Quantise(format="mixed", activations="static", costs="operations", agreement=1.0)
    for name in "ab":
        (tmp_path / name).mkdir()
        step.apply(trained, tmp_path / name, make_context())
    assert (tmp_path / "a/quantise.json").read_bytes() == (tmp_path / "b/quantise.json").read_bytes()


def test_mixed_goes_back_to_float_until_it_agrees(trained, target, make_context, monkeypatch):
    """Times are given: the product that int8 makes slower goes first, then by error per millisecond."""
    names = product_names(read_encoder(trained))
    saves = {name: 1.0 for name in names} | {"layer0.up": -0.1}
    monkeypatch.setattr(Quantise, "_savings", lambda self, encoder: saves)
    shares = iter([0.5, 0.6, 0.7, 0.995])
    monkeypatch.setattr(module, "agreement", lambda *_: (next(shares), []))
    metrics = Quantise(format="mixed").apply(trained, target, make_context())
    errors = {name: entry["error"] for name, entry in metrics["products"].items()}
    rest = sorted((name for name in names if name != "layer0.up"), key=lambda n: -errors[n])
    assert metrics["floats"] == ["layer0.up", *rest[:2]] == list(precision_of(target).floats)
    assert metrics["agreements"] == [0.5, 0.6, 0.7, 0.995]
    stored = {weight.name: weight.data_type for weight in graph_of(target).graph.initializer}
    assert {name for name in names if stored[name] == onnx.TensorProto.FLOAT} == set(metrics["floats"])


def test_mixed_measures_times_here(trained, target, make_context):
    metrics = Quantise(format="mixed", agreement=0.5, tokens=4, threads=1).apply(trained, target, make_context())
    assert metrics["floats"] == [] and metrics["costs"] == "measured"
    assert len({entry["saves"] for entry in metrics["products"].values()}) > 1


def test_constant_ranges_are_of_these_weights_alone(trained, bert, target, make_context):
    Quantise(format="int8-static").apply(trained, target, make_context())
    shutil.copyfile(bert / "model.safetensors", target / "other")
    (target / "other").replace(target / "model.safetensors")
    with pytest.raises(InputError, match=r"quantise\.json: the weights have changed .* put the quantisation last"):
        graph_of(target)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_too_few_texts_to_calibrate_on(trained, target, make_context, part):
    context = make_context()
    context = replace(context, **{part: examples(7, 3)})
    with pytest.raises(InputError, match=r"step 'quantise': calibration needs at least 8 texts .* there are 7"):
        Quantise(format="int8-static").apply(trained, target, context)
    with pytest.raises(InputError, match=r"texts: .* greater than or equal to 8; got 1"):
        step_from_spec("model", {"quantise": {"format": "int8-static", "texts": 1}}, "steps")


@pytest.mark.parametrize(("tokens", "texts"), [(12, 64), (300, 54), (4000, 8)])
def test_of_long_texts_fewer_are_taken(trained, make_context, monkeypatch, tokens, texts):
    """Up to 16,384 tokens; but ranges from fewer than eight texts are of no use."""
    context = make_context(validation=64)
    monkeypatch.setattr(type(context), "encode", lambda self, folder, wanted: [np.full(tokens, 5, np.int32)] * 64)
    whole = calibration.sample(trained, context, context.validation, 256, "here")
    parts = calibration.halves(trained, context, context.validation, 256, "here")
    assert [sum(len(ids) for ids, _ in part) for part in (whole, *parts)] == [texts, texts // 2, texts // 2]


def test_the_halves_are_the_sample_and_have_no_text_in_common(trained, make_context):
    context = make_context(validation=40)

    def rows(batches):
        pairs = [(ids, mask) for part, real in batches for ids, mask in zip(part, real, strict=True)]
        return [tuple(ids[mask.bool()].tolist()) for ids, mask in pairs]

    first, second = (rows(part) for part in calibration.halves(trained, context, context.validation, 256, "here"))
    assert len(first) == len(second) == 20
    assert sorted(first + second) == sorted(
        rows(calibration.sample(trained, context, context.validation, 256, "here"))
    )


def test_what_mixed_chose_on_some_texts_is_judged_on_others(trained, target, make_context, monkeypatch):
    seen = []
    original = module.judged

    def spy(encoder, wanted, precision, batches, context):
        seen.append(batches)
        return original(encoder, wanted, precision, batches, context)

    monkeypatch.setattr(module, "judged", spy)
    context = make_context(validation=40)
    metrics = Quantise(format="mixed", costs="operations").apply(trained, target, context)
    assert metrics["chosen_on"] == metrics["judged_texts"] == 20
    judges = calibration.halves(trained, context, context.validation, 256, "here")[1]
    assert all(same_ids.equal(ids) for (same_ids, _), (ids, _) in zip(judges, seen[0], strict=True))


def test_a_linear_model_has_no_int8_form(bert, tmp_path, target, make_context):
    (tmp_path / "linear").mkdir()
    Linear().apply(bert, tmp_path / "linear", make_context())
    with pytest.raises(InputError, match=r"step 'quantise': a linear model has no int8 form"):
        Quantise().apply(tmp_path / "linear", target, make_context())


@pytest.mark.parametrize("how", ["noted", "stored"])
def test_weights_that_are_quantised_already(bert, tmp_path, target, make_context, how):
    folder = shutil.copytree(bert, tmp_path / "model")
    if how == "noted":
        config = read_json(folder / "config.json")
        write_json(folder / "config.json", {**config, "quantization_config": {"quant_method": "gptq", "bits": 4}})
    else:
        state = load_file(folder / "model.safetensors")
        name = next(name for name in state if name.endswith("query.weight"))
        save_file({**state, name: state[name].astype(np.int8)}, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"the weights are quantised already.*(gptq|query\.weight is stored as I8)"):
        Quantise().apply(folder, target, make_context())


def test_an_activation_that_no_graph_has(trained, tmp_path, target, make_context):
    folder = shutil.copytree(trained, tmp_path / "model")
    write_json(folder / "config.json", {**read_json(folder / "config.json"), "hidden_act": "silu"})
    with pytest.raises(InputError, match=r"activation 'silu' cannot be exported; known are .*gelu"):
        Quantise(format="int8-static").apply(folder, target, make_context())


def test_bits_auto_is_settled_when_the_step_is_made(monkeypatch):
    monkeypatch.setattr(module, "safe_bits", lambda: 8)
    assert Quantise.model_validate({"bits": "auto"}).bits == 8
    assert Quantise().bits == 7


def test_eight_bits_are_tried_for_saturation(trained, target, make_context, monkeypatch):
    seen = {}
    monkeypatch.setattr(module, "saturating", lambda weights: seen.update(weights) or ["layer0.up"])
    metrics = Quantise(format="int8-static", bits=8).apply(trained, target, make_context())
    assert metrics["saturating_here"] == ["layer0.up"]
    assert list(seen) == product_names(read_encoder(trained))
    assert max(np.abs(w).max() for w in seen.values()) == 127

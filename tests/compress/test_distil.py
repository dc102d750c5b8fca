"""Distillation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.helpers.checkpoints import make_model, write_model
from transformers import AutoConfig, AutoModelForSequenceClassification

from lighten.compress import distil as distil_module
from lighten.compress.distil import control, copies_of
from lighten.compress.features import Wanted
from lighten.compress.steps import Distil, Finetune, Layers, Vocabulary
from lighten.compress.teacher import cache_teacher
from lighten.errors import InputError
from lighten.models.load import load_classifier
from lighten.models.tokens import encode, read_tokenizer
from lighten.pipeline.examples import Examples
from lighten.train.checkpoint import Checkpoints
from lighten.train.infer import infer
from lighten.train.precision import Precision

SHORT = Distil(epochs=0.5, precision="fp32")


def apply(step, source: Path, target: Path, context):
    target.mkdir()
    return step.apply(source, target, context)


def notes(folder: Path) -> dict[str, str]:
    with safe_open(folder / "teacher.safetensors", framework="pt") as file:
        return file.metadata()


def answers(folder: Path, context):
    model = load_classifier(folder, context.labels, 0)
    return infer(model, encode(read_tokenizer(folder), context.train.texts, 40), 0, Precision("fp32", "")).logits


def test_states_are_used_where_tokens_and_width_are_equal(bert, tmp_path, make_context, teacher):
    context = make_context(teacher=teacher)
    apply(Layers(count=1), bert, tmp_path / "one", context)
    assert apply(SHORT, tmp_path / "one", tmp_path / "same", context)["states"] is True
    apply(Vocabulary(), bert, tmp_path / "used", context)
    assert apply(SHORT, tmp_path / "used", tmp_path / "trimmed", context)["states"] is True


def test_other_tokens(bert, tmp_path, make_context, teacher):
    """With fewer pieces some words are cut into more of them: their states are nobody's."""
    context = make_context(teacher=teacher)
    apply(Vocabulary(size=73), bert, tmp_path / "few", context)
    assert apply(SHORT, tmp_path / "few", tmp_path / "student", context)["states"] is False


def test_other_width(tmp_path, make_context, teacher):
    context = make_context(teacher=teacher)
    narrow = write_model(tmp_path / "narrow", "bert", hidden_dropout_prob=0.0)
    wide = write_model(tmp_path / "distilbert", "distilbert")
    assert apply(SHORT, wide, tmp_path / "a", context)["states"] is True  # as wide, and of another type
    config = AutoConfig.from_pretrained(narrow)
    config.hidden_size, config.num_attention_heads = 16, 2
    make_model(config).save_pretrained(narrow)
    assert apply(SHORT, narrow, tmp_path / "b", context)["states"] is False


def test_no_states_wanted_or_cached(bert, tmp_path, make_context, teacher):
    context = make_context(teacher=teacher)
    step = Distil(epochs=0.5, states_weight=0, precision="fp32")
    assert apply(step, bert, tmp_path / "a", context)["states"] is False
    tensors = load_file(teacher / "teacher.safetensors")
    del tensors["states"]
    (tmp_path / "bare").mkdir()
    save_file(tensors, tmp_path / "bare/teacher.safetensors", notes(teacher))
    context.teacher = tmp_path / "bare"
    assert apply(SHORT, bert, tmp_path / "b", context)["states"] is False


def test_the_student_comes_nearer_to_its_teacher(bert, tmp_path, make_context):
    context = make_context(train=96)
    apply(Finetune(epochs=6, learning_rate=3e-3, precision="fp32"), bert, tmp_path / "reference", context)
    (tmp_path / "answers").mkdir()
    cache_teacher(tmp_path / "reference", tmp_path / "answers", context)
    context.teacher = tmp_path / "answers"
    apply(Layers(count=1), tmp_path / "reference", tmp_path / "student", context)
    step = Distil(epochs=8, learning_rate=3e-3, precision="fp32")
    apply(step, tmp_path / "student", tmp_path / "distilled", context)
    wanted = answers(tmp_path / "reference", context)
    before, after = (answers(tmp_path / name, context) for name in ("student", "distilled"))
    assert (after - wanted).square().mean() < 0.5 * (before - wanted).square().mean()
    assert (after.argmax(1) == wanted.argmax(1)).float().mean() > 0.9


def test_the_objective_gets_the_fields(bert, tmp_path, make_context, teacher, monkeypatch):
    seen = []

    class Spy(distil_module.Distillation):
        def __init__(self, *args, **options):
            seen.append(args)
            super().__init__(*args, **options)

    monkeypatch.setattr(distil_module, "Distillation", Spy)
    step = Distil(epochs=0.5, temperature=3.0, label_weight=0.25, states_weight=7.0, precision="fp32")
    apply(step, bert, tmp_path / "m", make_context(teacher=teacher))
    logits, labels, temperature, label_weight, states, starts, states_weight = seen[0]
    assert (temperature, label_weight, states_weight) == (3.0, 0.25, 7.0)
    assert logits.shape == (64, 2) and labels.shape == (64,) and len(states) == int(starts[-1])


def test_without_a_teacher(bert, target, make_context):
    with pytest.raises(InputError, match=r"step 'distil': distillation needs a teacher's answers"):
        Distil().apply(bert, target, make_context())


def test_a_teacher_of_other_texts_or_classes(bert, target, make_context, teacher):
    with pytest.raises(InputError, match="the teacher answered 64 texts in 2 classes, but there are 32 in 2"):
        Distil().apply(bert, target, make_context(train=32, teacher=teacher))
    context = make_context(teacher=teacher)
    context.labels = ["a", "b", "c"]
    with pytest.raises(InputError, match="64 texts in 2 classes, but there are 64 in 3"):
        Distil().apply(bert, target, context)


def test_same_lengths_mean_same_tokens_here(teacher):
    """What `states` relies on: the cached starts are the token counts of the texts."""
    tensors = load_file(teacher / "teacher.safetensors")
    assert tensors["starts"][0] == 0 and (np.diff(tensors["starts"].numpy()) >= 3).all()
    assert torch.isfinite(tensors["states"].float()).all()


def narrow_student(folder: Path) -> Path:
    """Half as wide as its teacher, with other heads, and one layer less."""
    write_model(folder, "bert")
    config = AutoConfig.from_pretrained(folder)
    config.hidden_size, config.num_attention_heads, config.num_hidden_layers = 24, 3, 1
    make_model(config, 5).save_pretrained(folder)
    return folder


def plain_load(folder: Path) -> set[str]:
    """The names of the weights; plain transformers finds them all."""
    _, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    return set(load_file(folder / "model.safetensors"))


EVERYTHING = Distil(
    epochs=1,
    precision="fp32",
    projection=True,
    layers={1: 2},
    relations=True,
    relation_heads=2,
    attention_weight=1.0,
    final_temperature=1.0,
    inner_first=0.3,
)


@pytest.mark.parametrize("step", [SHORT, EVERYTHING], ids=["default", "everything"])
def test_a_narrow_student_learns_from_the_cache_as_from_the_teacher_beside(bert, tmp_path, make_context, step):
    (tmp_path / "full").mkdir()
    (tmp_path / "bare").mkdir()
    context = make_context()
    cache_teacher(bert, tmp_path / "full", context, wanted=Wanted(states=(2,), qkv=(2,)))
    cache_teacher(bert, tmp_path / "bare", context)
    student = narrow_student(tmp_path / "student")
    found = {}
    for name, options in {
        "cached": {"teacher": tmp_path / "full"},
        "beside": {"teacher": tmp_path / "bare", "teacher_model": bert},
        "alone": {"teacher_model": bert},
    }.items():
        report = apply(step, student, tmp_path / name, make_context(**options))
        assert report["relations"] is True and report["online"] is (name == "beside")
        assert report["states"] is report["attention"] is (step is EVERYTHING)
        assert plain_load(tmp_path / name) == plain_load(student)
        found[name] = load_file(tmp_path / name / "model.safetensors")
    start = load_file(student / "model.safetensors")
    query = "bert.encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(start[query], found["cached"][query])
    for name, value in found["cached"].items():
        assert torch.allclose(value, found["beside"][name], atol=2e-3), name  # half precision in the cache
        assert torch.equal(value, found["alone"][name])


def test_relations_bring_a_narrow_student_nearer(bert, tmp_path, make_context):
    """Nothing but relations is learned for most of the training; the loss on them falls."""
    student = narrow_student(tmp_path / "student")
    losses = []
    for rate in (1e-9, 3e-3):
        step = Distil(epochs=6, learning_rate=rate, inner_first=0.99, label_weight=0, precision="fp32")
        report = apply(step, student, tmp_path / f"{rate}", make_context(teacher_model=bert))
        losses.append([entry["loss"] for entry in report["history"] if entry.get("loss") is not None])
    assert losses[1][-2] < 0.8 * losses[0][-2]


def test_without_cache_or_teacher_relations_are_left_out_unless_asked_for(tmp_path, make_context, teacher):
    context, student = make_context(teacher=teacher), narrow_student(tmp_path / "student")
    report = apply(SHORT, student, tmp_path / "a", context)
    assert report["states"] is False and "relations" not in report
    for fields, said in [
        ({"relations": True}, r"relations: the teacher's layers 2 are not in the cache and its checkpoint is not at"),
        ({"attention_weight": 1.0, "online": False}, "attention maps: .* and online is false"),
        ({"online": True}, "relations: .* its checkpoint is not at hand"),
        ({"layers": "uniform"}, "layers: states 24 wide cannot be compared with the teacher's 32"),
        ({"layers": {2: 1}, "projection": True}, "the student has layers 1 to 1"),
        ({"relations": True, "relation_layer": 3}, "relation_layer: the teacher has 2 layers, not 3"),
        ({"attention_weight": 1.0, "layers": {0: 0}}, "have no attention maps"),
    ]:
        with pytest.raises(InputError, match=said):
            Distil(precision="fp32", **fields).apply(student, tmp_path / "nowhere", context)


def test_what_lies_inside_needs_the_same_tokens(bert, tmp_path, make_context, teacher):
    context = make_context(teacher=teacher, teacher_model=bert)
    apply(Vocabulary(size=73), bert, tmp_path / "few", context)
    with pytest.raises(InputError, match="relations can only be matched token by token"):
        Distil(relations=True).apply(tmp_path / "few", tmp_path / "nowhere", context)


def test_the_default_is_not_changed_by_what_else_is_at_hand(bert, tmp_path, make_context, teacher):
    """Same width: states and soft labels alone, whether or not the teacher could run."""
    apply(SHORT, bert, tmp_path / "a", make_context(teacher=teacher))
    report = apply(SHORT, bert, tmp_path / "b", make_context(teacher=teacher, teacher_model=bert))
    assert "relations" not in report
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


def test_unlabelled_texts_are_learned_from_the_teacher_alone(bert, tmp_path, make_context, monkeypatch):
    more = Examples(["the film was warm and funny", "a dull mess of a plot", "it is this"], [0, 0, 0], [2, 3, 4])
    context = make_context(unlabelled=more, teacher_model=bert)
    seen = []
    original = distil_module.Distillation

    def spy(*args, **options):
        seen.append(args)
        return original(*args, **options)

    monkeypatch.setattr(distil_module, "Distillation", spy)
    report = apply(Distil(epochs=1, precision="fp32"), bert, tmp_path / "m", context)
    logits, labels = seen[0][:2]
    assert report["unlabelled"] == 3 and len(logits) == len(labels) == 67
    assert labels[:64].tolist() == context.train.labels and labels[64:].tolist() == [-1, -1, -1]
    with pytest.raises(InputError, match="answered 67 texts in 2 classes, but there are 64"):
        (tmp_path / "cache").mkdir()
        cache_teacher(bert, tmp_path / "cache", context)
        Distil().apply(bert, tmp_path / "n", make_context(teacher=tmp_path / "cache"))


def test_copies_are_learned_from_the_teacher_in_as_many_tokens(bert, tmp_path, make_context, monkeypatch):
    context = make_context(teacher_model=bert)
    seen = []
    original = distil_module.fit

    def spy(*args, **options):
        seen.append((args[3], args[4], args[5]))
        return original(*args, **options)

    monkeypatch.setattr(distil_module, "fit", spy)
    step = Distil(epochs=4, copies=2, tokens_per_batch=256, precision="fp32")
    report = apply(step, bert, tmp_path / "m", context)
    encoded, objective, settings = seen[0]
    assert report["copies"] == 2 and len(encoded) == 3 * 64 and context.copies == 0
    assert objective.labels.tolist() == context.train.labels + [-1] * 128
    tokens = [sum(map(len, part)) for part in (encoded[:64], encoded)]
    assert settings.epochs == pytest.approx(4 * tokens[0] / tokens[1])
    assert report["epochs"] == pytest.approx(4, rel=0.1)
    control(step).apply(bert, tmp_path / "m", context)
    assert len(seen[1][0]) == 64 and seen[1][2].epochs == 4


def test_the_copies_of_a_plan_are_those_of_its_most_demanding_step():
    assert copies_of([]) == copies_of([Layers(count=1), Distil()]) == 0
    assert copies_of([Distil(copies=1), Finetune(), Distil(copies=3)]) == 3


def test_several_labels_per_text(bert, tmp_path, make_context):
    context = make_context(teacher_model=bert)
    for part in (context.train, context.validation):
        part.more["labels"] = [[label] if i % 3 else [0, 1] for i, label in enumerate(part.labels)]
    report = apply(Distil(epochs=4, learning_rate=3e-3, precision="fp32"), bert, tmp_path / "m", context)
    assert 0 <= report["best"] <= 100
    wanted, before = answers(bert, context), answers(bert, context)
    assert torch.equal(wanted, before) and plain_load(tmp_path / "m")
    labelled = apply(control(Distil(epochs=6, learning_rate=3e-3, precision="fp32")), bert, tmp_path / "c", context)
    assert labelled["control"] is True and labelled["best"] > 70


def test_the_control_is_the_same_training_without_a_teacher(bert, tmp_path, make_context, teacher, monkeypatch):
    step = Distil(epochs=2, learning_rate=1e-3, tokens_per_batch=300, precision="fp32")
    seen = []
    original = distil_module.fit

    def spy(*args, **options):
        seen.append((args, options))
        return original(*args, **options)

    monkeypatch.setattr(distil_module, "fit", spy)
    apply(step, bert, tmp_path / "distilled", make_context(teacher=teacher))
    report = apply(control(step), bert, tmp_path / "control", make_context())
    (first, options), (second, same) = seen
    assert options == same and first[5] == second[5], "batches and settings"
    assert all((a == b).all() for a, b in zip(first[3], second[3], strict=True)), "texts"
    assert type(second[4]).__name__ == "Classification" and report["control"] is True
    assert step.control is False and control(step).model_dump() == {**step.model_dump(), "control": True}


def test_the_control_sees_as_many_tokens_as_a_student_with_unlabelled_texts(bert, tmp_path, make_context):
    more = Examples([f"the film was warm and funny {i}" for i in range(100)], [0] * 100, list(range(100)))
    context = make_context(unlabelled=more, teacher_model=bert)
    step = Distil(epochs=2, precision="fp32")
    student = apply(step, bert, tmp_path / "student", context)
    without = apply(control(step), bert, tmp_path / "control", context)
    lengths = [
        sum(map(len, context.encode(bert, list(texts)))) for texts in (context.train.texts, context.unlabelled.texts)
    ]
    assert without["epochs_factor"] == pytest.approx(sum(lengths) / lengths[0], abs=1e-3)
    assert without["epochs"] == pytest.approx(2 * without["epochs_factor"], rel=0.1)
    assert student["epochs"] == pytest.approx(2, rel=0.1) and "epochs_factor" not in student


def test_a_projection_is_trained_survives_a_kill_and_is_not_saved(bert, tmp_path, make_context, monkeypatch):
    student = narrow_student(tmp_path / "student")
    monkeypatch.setattr(Checkpoints, "due", lambda self: self.folder is not None)
    step = EVERYTHING.model_copy(update={"epochs": 2.0})
    apply(step, student, tmp_path / "whole", make_context(teacher_model=bert, checkpoints=tmp_path / "a"))
    kept = [name for file in (tmp_path / "a/last").glob("*.safetensors") for name in load_file(file)]
    assert any("trained_along" in name for name in kept)
    ticks = iter(range(10**6))

    def tick() -> None:
        if next(ticks) == 6:
            raise KeyboardInterrupt

    options = {"teacher_model": bert, "checkpoints": tmp_path / "b"}
    with pytest.raises(KeyboardInterrupt):
        apply(step, student, tmp_path / "killed", make_context(**options, tick=tick))
    apply(step, student, tmp_path / "resumed", make_context(**options))
    whole, resumed = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "resumed"))
    assert whole == resumed

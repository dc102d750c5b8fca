from __future__ import annotations

import shutil

import pytest

import lighten
from lighten.compress.steps import Quantise
from lighten.errors import InputError
from lighten.pipeline.files import read_json, write_json


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("layer=1", ["'layer' is no step", "vocabulary", "did you mean 'layers'?"]),
        ("int8,layers=1", ["'int8' must be the last step", "'layers=1' comes after it"]),
        ("distil,layers=1", ["'distil' needs a step before it", "its own teacher"]),
        ("finetune", ["finetune alone", "lighten train"]),
        ("layers=1,distil-language", ["'distil-language' is for language models; a classifier has 'distil'"]),
        ("", ["nothing to do"]),
        ("layers=3", ["'layers' needs 3 layers, but the model has 2", "steps[0]"]),
        ("vocabulary=3", ["dry run", "step 1 of 1", "3 pieces are too few"]),
        ("layers=1,vocabulary,layers=2", ["dry run", "step 3 of 3"]),
    ],
)
def test_wrong_plans_are_refused_before_any_work(compress, tmp_path, steps, words):
    with pytest.raises(InputError) as caught:
        compress(steps, tmp_path / "run")
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"text": "revew"}, ["revew", "did you mean 'review'?"]),
        ({"label": "stars"}, ["stars"]),
        ({"set": ["target.tokens=100"]}, ["target.tokens", "at most 48"]),
        ({"set": ["data.multi_label=true"]}, ["data.multi_label", "lighten compress knows one label per text only"]),
        ({"set": ["target.thread=1"]}, ["unknown key", "did you mean 'threads'?"]),
        ({"minutes": 0}, ["build_minutes"]),
        ({"set": ["train.max_tokens=64"]}, ["train.max_tokens", "does not read the section train", "finetune"]),
        ({"set": ["train.parallel.processes=2"]}, ["train.parallel", "does not read the section train"]),
    ],
)
def test_wrong_options(compress, tmp_path, options, words):
    with pytest.raises(InputError) as caught:
        compress("layers=1", tmp_path / "run", **options)
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_steps_and_data_must_be_named(fitted, reviews):
    with pytest.raises(InputError, match="--with: name the steps"):
        lighten.compress(fitted)
    with pytest.raises(InputError, match="--data: name a file"):
        lighten.compress(fitted, "int8")


def test_a_recipe_that_leaves_the_steps_open_is_for_build(fitted, reviews):
    data = {"train": str(reviews), "text": "review", "label": "verdict"}
    recipe = {"task": "text-classification", "model": str(fitted), "data": data}
    with pytest.raises(InputError, match="with steps: auto, lighten build finds them"):
        lighten.compress(recipe)
    data = {"train": "a", "text": "t", "summary": "s"}
    with pytest.raises(InputError, match="lighten compress knows text-classification, language-modeling only"):
        lighten.compress({"task": "summarization", "model": str(fitted), "data": data}, "int8")


def test_a_quantised_model_is_refused(fitted, compress, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(fitted, model)
    write_json(model / "config.json", {**read_json(model / "config.json"), "quantization_config": {"bits": 4}})
    with pytest.raises(InputError, match="quantised already"):
        compress("layers=1", tmp_path / "run", model)


def test_the_dry_run_names_the_step_that_breaks_and_can_be_left_out(compress, tmp_path, monkeypatch):
    def broken(self, source, target, context):
        raise ZeroDivisionError("in the middle")

    monkeypatch.setattr(Quantise, "apply", broken)
    with pytest.raises(lighten.LightenError, match="dry run: step 2 of 2, 'int8': ZeroDivisionError: in the middle"):
        compress("layers=1,int8", tmp_path / "run")
    with pytest.raises(lighten.LightenError, match=r"\Astep 2 of 2, 'int8': ZeroDivisionError"):
        compress("layers=1,int8", tmp_path / "other", dry_run=False)

"""`lighten train` on classifiers: it learns, resumes, leaves a plain checkpoint, and every option does its work."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import check_loads
from tests.tasks.conftest import weights_of, write_csv

import lighten
from lighten.errors import InputError
from lighten.pipeline.training_result import training_json_schema


def test_it_learns_and_leaves_a_plain_checkpoint(recipe, tmp_path):
    result = lighten.train(recipe(epochs=8), tmp_path / "run")
    assert result["quality"]["validation"]["value"] > 85 and result["quality"]["test"]["value"] > 80
    low, high = result["quality"]["test"]["ci95"]
    assert low <= result["quality"]["test"]["value"] <= high
    check_loads(result.model_folder)
    assert json.loads((result.model_folder / "config.json").read_text())["id2label"] == {"0": "bad", "1": "good"}
    jsonschema.validate(result.to_dict(), training_json_schema())
    records = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert records[0]["step"] == 1 and records[-1]["validation"] is not None
    assert [r["step"] for r in records] == sorted(r["step"] for r in records)
    assert result.report.exists() and not (tmp_path / "run/work/checkpoints").exists()


def test_the_score_is_that_of_plain_transformers_on_the_saved_model(recipe, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    result = lighten.train(recipe(), tmp_path / "run")
    model = AutoModelForSequenceClassification.from_pretrained(result.model_folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(result.model_folder)
    rows = [json.loads(line) for line in next((tmp_path / "run").glob("work/artifacts/*/test.jsonl")).open()]
    right = []
    for row in rows:
        with torch.no_grad():
            said = model(**tokenizer(row["text"], return_tensors="pt")).logits.argmax()
        right.append(int(said) == row["label"])
    assert 100 * np.mean(right) == pytest.approx(result["quality"]["test"]["value"], abs=1e-3)


def test_the_same_recipe_again_answers_at_once(recipe, tmp_path):
    first = lighten.train(recipe(epochs=1), tmp_path / "run")
    again = lighten.train(recipe(epochs=1), tmp_path / "run")
    assert again.to_dict() == first.to_dict()
    anew = lighten.train(recipe(epochs=1), tmp_path / "run", restart=True)
    assert anew["training"]["seconds"] != first["training"]["seconds"] or anew is not first
    same = weights_of(first.model_folder)
    assert all(torch.equal(same[name], value) for name, value in weights_of(anew.model_folder).items())


@pytest.mark.parametrize(
    "train",
    [
        {"freeze": 1, "cache": False},
        {"freeze": 1, "cache": True},
        {"freeze": 1, "cache": True, "precision": "auto"},
        {"lora": {"rank": 4, "alpha": 8}},
        {"gradient_checkpointing": True},
        {"order": "curriculum"},
        {"length_warmup": 0.5},
        {"micro_tokens": 32},
        {"optimizer": "schedule-free"},
        {"schedule": "wsd", "decay": 0.3},
        {"schedule": "plateau"},
        {"class_weights": "balanced", "label_smoothing": 0.1},
        {"class_weights": {"bad": 2.0}},
        {"norm": "none"},
        {"long": "chunk", "max_tokens": 16},
        {"long": "head-tail", "max_tokens": 12},
        {"dropout": 0.05, "patience": 4, "epochs": 10},
        {"learning_rate": "probe"},
        {"tokens_per_batch": "auto", "precision": "auto"},
    ],
    ids=lambda train: "-".join(f"{key}={value}" for key, value in train.items()),
)
def test_every_option_runs_and_leaves_a_model(recipe, tmp_path, train):
    wanted = recipe(**{"epochs": 6, **train})
    result = lighten.train(wanted, tmp_path / "run")
    assert result["quality"]["validation"]["value"] > 60
    assert all(np.isfinite(entry["loss"]) for entry in result["training"]["history"] if entry["loss"] is not None)
    if "norm" not in train:
        check_loads(result.model_folder)


def test_frozen_layers_stay_as_they_were_and_the_cache_changes_nothing(recipe, bert, tmp_path):
    plain, cached = (
        lighten.train(recipe(freeze=1, cache=cache, epochs=2), tmp_path / str(cache)) for cache in (False, True)
    )
    before = weights_of(bert)
    for result in (plain, cached):
        after = weights_of(result.model_folder)
        kept = [name for name in before if "embeddings" in name or "layer.0." in name]
        assert kept and all(torch.equal(before[name], after[name]) for name in kept)
        assert not torch.equal(
            before["bert.encoder.layer.1.output.dense.weight"], after["bert.encoder.layer.1.output.dense.weight"]
        )
    first, second = weights_of(plain.model_folder), weights_of(cached.model_folder)
    assert all(torch.allclose(first[name], second[name], atol=1e-4) for name in first)


def test_the_cache_of_a_modernbert_is_in_front_of_its_last_norm(recipe, checkpoints, tmp_path):
    plain, cached = (
        lighten.train(
            {**recipe(freeze=1, cache=cache, epochs=2, precision="fp32"), "model": str(checkpoints["modernbert"])},
            tmp_path / str(cache),
        )
        for cache in (False, True)
    )
    first, second = weights_of(plain.model_folder), weights_of(cached.model_folder)
    assert all(torch.allclose(first[name], second[name], atol=1e-4) for name in first)


def test_several_labels_per_text(bert, tmp_path):
    rng = np.random.default_rng(0)
    words = {"great": "good", "funny": "comic", "dull": "bad"}
    texts, labels = [], []
    for number in range(240):
        chosen = [word for word in words if rng.random() < 0.4]
        texts.append(" ".join([*rng.permutation([*chosen, "the", "film"]), str(number)]))
        labels.append("|".join(words[word] for word in chosen))
    data = write_csv(tmp_path / "many.csv", {"text": texts, "label": labels})
    recipe = {
        "task": "text-classification",
        "data": {"train": str(data), "text": "text", "label": "label", "multi_label": True, "prepare": []},
        "model": str(bert),
        "train": {"epochs": 12, "learning_rate": 3e-3, "tokens_per_batch": 128, "precision": "fp32"},
    }
    result = lighten.train(recipe, tmp_path / "run")
    assert result["quality"]["metric"] == "f1_samples" and result["quality"]["test"]["value"] > 85
    config = json.loads((result.model_folder / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    assert config["id2label"] == {"0": "bad", "1": "comic", "2": "good"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"freeze": 9}, "the model has 2"),
        ({"max_tokens": 4000}, "train.max_tokens: the model takes"),
        ({"class_weights": {"worse": 2.0}}, "'worse' is no label"),
        ({"order": "importance", "order_column": "weight"}, "weight"),
    ],
)
def test_bad_input_is_one_clear_line(recipe, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        lighten.train(recipe(**change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_checkpoints_of_another_recipe_are_refused(recipe, tmp_path, monkeypatch):
    from lighten.train.loop import Training

    def die(self, stopped):
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "_report", die)
    with pytest.raises(KeyboardInterrupt):
        lighten.train(recipe(checkpoint_seconds=0, epochs=1), tmp_path / "run")
    monkeypatch.undo()
    with pytest.raises(InputError, match="of another training"):
        lighten.train(recipe(epochs=1, clip=0.5), tmp_path / "run")
    lighten.train(recipe(epochs=1, clip=0.5), tmp_path / "run", restart=True)

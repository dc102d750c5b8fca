"""Long texts from training to the exported folder: the note beside the weights goes along."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lighten
from lighten.models.long_texts import read_note
from lighten.recipe import parse_recipe
from lighten.tasks.plan import plan
from lighten.train.objectives import Pooled


@pytest.mark.parametrize(
    ("way", "said"),
    [
        pytest.param("sentences", {"strategy": "sentences"}, marks=pytest.mark.slow),
        ("hierarchical", {"strategy": "chunk", "overlap": 64, "pool": "attention"}),
    ],
)
def test_from_training_to_the_exported_folder(recipe, tmp_path, way, said):
    wanted = recipe(epochs=1, long=way, max_tokens=11)
    result = lighten.train(wanted, tmp_path / "run")
    counted = result["data"]["long_texts"]["train"]
    assert counted["cut"] > 0 and (counted["tokens_lost"] > 0) == (way == "sentences")
    note = read_note(result.model_folder)
    assert note.to_dict() == said and (note.frequencies is not None) == (way == "sentences")
    data = {key: wanted["data"][key] for key in ("train", "text", "label")}
    plan = {"task": "text-classification", "data": data, "model": str(result.model_folder), "steps": ["int8"]}
    plan["target"] = {"threads": 1, "batch": 1, "tokens": 8}
    made = lighten.compress(plan, out=tmp_path / "small", dry_run=False)
    model = lighten.load(made.model_folder)
    assert model.folder.long == said and model.self_test() == []
    if note.frequencies is not None:
        assert json.loads((made.model_folder / "document_frequencies.json").read_text()) == note.frequencies.to_dict()


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Texts of eight sentences, one of which says the label."""
    random = np.random.default_rng(0)
    lines = []
    for _ in range(400):
        label = ("bad", "good")[random.integers(2)]
        sentences = [" ".join(["the film was a", *random.choice(["movie", "film"], 3), "it was"]) for _ in range(7)]
        words = ["great", "funny"] if label == "good" else ["boring", "rotten"]
        sentences.insert(random.integers(8), " ".join(["the film was", *random.choice(words, 2), "and a film"]))
        lines.append(json.dumps({"text": " ".join(sentences), "label": label}))
    file = tmp_path_factory.mktemp("planted") / "rows.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return {"train": str(file), "text": "text", "label": "label", "prepare": []}


def test_a_text_is_learned_by_all_its_chunks_together(recipe, planted, tmp_path, monkeypatch):
    seen, real = [], Pooled.loss

    def loss(self, model, batch):
        seen.append((len(batch.ids), len(batch.index), batch.units))
        return real(self, model, batch)

    monkeypatch.setattr(Pooled, "loss", loss)
    how = {"max_tokens": 14, "epochs": 12, "tokens_per_batch": 1024, "label_smoothing": 0.1}
    result = lighten.train(recipe({"data": planted}, long="hierarchical", **how), tmp_path / "run")
    assert result["data"]["long_texts"]["test"]["sequences"] > 4 * result.quality["test"]["n"]
    assert result.quality["test"]["value"] > 95
    assert len(seen) >= result["training"]["steps"] > 0
    assert all(rows > 4 * texts and units == texts for rows, texts, units in seen)


@pytest.mark.parametrize("more", [{"order": "curriculum"}, {"length_warmup": 0.5}, {"freeze": 1, "cache": True}])
def test_whole_texts_go_with_other_ways_to_train(recipe, tmp_path, more):
    made = recipe(long="hierarchical", max_tokens=11, **{"epochs": 1, **more})
    result = lighten.train(made, tmp_path / "run")
    assert 0 <= result.quality["test"]["value"] <= 100
    assert read_note(result.model_folder).hierarchical


def test_a_plan_counts_pieces_and_not_whole_texts_as_rows(recipe, planted, tmp_path):
    """Attention sees a piece: the memory of eight of them is not that of one text eight times as long."""
    wanted = {"max_tokens": 14, "epochs": 1, "tokens_per_batch": 256, "precision": "fp32"}
    rows = {}
    for way in ("chunk", "hierarchical"):
        made = parse_recipe(recipe({"data": planted}, long=way, **wanted), [], where="recipe")
        rows[way] = plan(made)["predicted"]["parts"]
    assert rows["hierarchical"]["activations"] == pytest.approx(rows["chunk"]["activations"], rel=0.5)

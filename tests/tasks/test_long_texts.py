"""Long texts from training to the exported folder: the note beside the weights goes along."""

from __future__ import annotations

import json

import pytest

import lighten
from lighten.models.long_texts import read_note


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("sentences", {"strategy": "sentences"}),
        ("chunk-max", {"strategy": "chunk", "overlap": 64, "pool": "max"}),
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

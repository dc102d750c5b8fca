"""What goes wrong with data, folders and models: one clear line, or counted; never a traceback."""

from __future__ import annotations

import csv
import json
import threading
from collections import Counter

import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import sentences
from tests.tasks.conftest import LABELS, write_csv

import lighten
from lighten.errors import InputError
from lighten.models.tokens import read_tokenizer
from lighten.train.loop import Training


def held_out(tmp_path, labels) -> str:
    texts, known = sentences(60, seed=5)
    names = [LABELS[item] for item in known]
    names[17 : 17 + len(labels)] = labels
    texts = [f"{text} number {place}" for place, text in enumerate(texts)]
    return str(write_csv(tmp_path / "held_out.csv", {"text": texts, "label": names}))


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_label_that_the_model_does_not_have(recipe, tmp_path, part):
    wanted = recipe(epochs=1)
    wanted["data"][part] = held_out(tmp_path, ["goood"])
    with pytest.raises(
        InputError, match=r"held_out.csv.*19.*label 'goood' is not one of bad, good; did you mean 'good'"
    ):
        lighten.train(wanted, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_training_label_outside_the_list_given(recipe, tmp_path):
    wanted = recipe(epochs=1)
    wanted["data"] |= {"train": held_out(tmp_path, ["worse"]), "labels": list(LABELS)}
    with pytest.raises(InputError, match="label 'worse' is not one of bad, good"):
        lighten.train(wanted, tmp_path / "run")


def test_a_checkpoint_with_another_number_of_labels_gets_a_new_head(recipe, bert, tmp_path):
    """The tiny model knows two labels; the data three."""
    rng = np.random.default_rng(0)
    words = {"bad": "dull", "good": "great", "odd": "scene"}
    names = [str(name) for name in rng.choice(list(words), 240)]
    texts = [f"the {words[name]} film {number}" for number, name in enumerate(names)]
    wanted = recipe(epochs=5)
    wanted["data"]["train"] = str(write_csv(tmp_path / "three.csv", {"text": texts, "label": names}))
    result = lighten.train(wanted, tmp_path / "run")
    config = json.loads((result.model_folder / "config.json").read_text())
    assert config["id2label"] == {"0": "bad", "1": "good", "2": "odd"}
    assert result["quality"]["test"]["value"] > 60


@pytest.mark.parametrize("how", ["truncate", "head-tail", "chunk"])
def test_texts_over_the_limit_are_counted(recipe, bert, reviews, tmp_path, how):
    limit = 11
    result = lighten.train(recipe(epochs=1, long=how, max_tokens=limit), tmp_path / "run")
    counted = result["data"]["long_texts"]
    assert counted.keys() == {"train", "validation", "test"}
    tokenizer = read_tokenizer(bert)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    total = 0
    for part, found in counted.items():
        (file,) = (tmp_path / "run").glob(f"work/artifacts/*/{part}.jsonl")
        texts = [json.loads(line)["text"] for line in file.read_text().splitlines()]
        sizes = np.array([len(item.ids) for item in tokenizer.encode_batch(texts)])
        over = sizes > limit
        assert found["cut"] == over.sum() > 0
        if how == "chunk":
            room, overlap = limit - 2, (limit - 2) // 4
            chunks = -(-(sizes - 2 - overlap) // (room - overlap))
            assert found["tokens_lost"] == 0
            assert found["sequences"] == np.where(over, chunks, 1).sum() > len(texts)
        else:
            assert found["tokens_lost"] == (sizes - limit)[over].sum()
            assert found["sequences"] == len(texts)
        total += len(texts)
    assert total == 480
    assert result["quality"]["test"]["n"] == len(texts)  # one answer per text, however many sequences


def test_texts_within_the_limit(recipe, tmp_path):
    result = lighten.train(recipe(epochs=1), tmp_path / "run")
    assert all(found["cut"] == found["tokens_lost"] == 0 for found in result["data"]["long_texts"].values())


def test_the_output_is_a_file(recipe, tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(InputError, match="run: the output must be a folder; this is a file"):
        lighten.train(recipe(epochs=1), tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"


def test_the_output_lies_in_a_file(recipe, tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(InputError, match="notes/run: the output folder cannot be made"):
        lighten.train(recipe(epochs=1), tmp_path / "notes/run")
    assert (tmp_path / "notes").read_text() == "mine"


def test_the_folder_of_a_build(recipe, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/result.json").write_text('{"kind": "build"}')
    with pytest.raises(InputError, match="this folder holds a build"):
        lighten.train(recipe(epochs=1), tmp_path / "run")
    assert (tmp_path / "run/result.json").exists()


def test_two_trainings_in_one_folder(recipe, tmp_path, monkeypatch):
    """The second one, started while the first is at work, is told so, and harms nothing."""
    refused: list[BaseException] = []
    first = threading.current_thread()
    run = Training.run

    def nested(self):
        assert threading.current_thread() is first
        monkeypatch.undo()
        for restart in (False, True):
            with pytest.raises(InputError) as caught:
                lighten.train(recipe(epochs=1), tmp_path / "run", restart=restart)
            refused.append(caught.value)
        return run(self)

    monkeypatch.setattr(Training, "run", nested)
    result = lighten.train(recipe(epochs=1), tmp_path / "run")
    assert [str(error) for error in refused] == [
        f"{tmp_path / 'run'}: another training is running in this folder; wait for it or choose --out"
    ] * 2
    assert result.model_folder.is_dir()
    lighten.train(recipe(epochs=1), tmp_path / "run", restart=True)  # and now it is free


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no rows|empty|no row"),
        ([("the film", "good")] * 3, "two labels"),
        ([("", "good"), ("", "bad")] * 20, "text"),
    ],
    ids=["nothing", "one label", "no texts"],
)
def test_data_that_cannot_be_trained_on(recipe, tmp_path, rows, message):
    file = tmp_path / "few.csv"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    wanted = recipe(epochs=1)
    wanted["data"]["train"] = str(file)
    with pytest.raises(InputError, match=message):
        lighten.train(wanted, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("changes", "message"), [({"lora": {"rank": 4, "targets": ["nowhere"]}}, "nowhere")])
def test_a_model_without_what_is_asked_for(recipe, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        lighten.train(recipe(epochs=1, **changes), tmp_path / "run")


def test_a_model_whose_weights_are_no_numbers(recipe, bert, tmp_path):
    """Found at the first step; no model is left behind."""
    import shutil

    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(bert, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    tensors["bert.encoder.layer.0.output.dense.weight"][0, 0] = torch.nan
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(lighten.LightenError, match="the loss became nan at step 0"):
        lighten.train({**recipe(epochs=1), "model": str(folder)}, tmp_path / "run")
    assert not (tmp_path / "run/model").exists() and not (tmp_path / "run/result.json").exists()


def test_a_word_in_the_test_part_alone_changes_no_count(recipe, tmp_path):
    """Rows go to one part each: none is lost on the way, none is there twice."""
    result = lighten.train(recipe(epochs=1), tmp_path / "run")
    texts = Counter()
    for part in ("train", "validation", "test"):
        (file,) = result.folder.glob(f"work/artifacts/*/{part}.jsonl")
        texts.update(json.loads(line)["text"] for line in file.read_text().splitlines())
    assert len(texts) == 480 and set(texts.values()) == {1}

"""The whole compression on a tiny task: what is left behind, that it works elsewhere, what is not done twice."""

from __future__ import annotations

import json
import subprocess
import sys

import jsonschema
import pytest
from tests.compose.conftest import TARGET, write_fitted
from tests.helpers.checkpoints import check_loads

import lighten
from lighten.compose import classification
from lighten.compress.steps import Layers, Vocabulary
from lighten.errors import InputError
from lighten.measure import instruments
from lighten.pipeline.compression_result import compression_json_schema, is_compression, read_compression

STEPS = "layers=1,vocabulary,int8"


@pytest.fixture
def unweighed(monkeypatch):
    """Memory and cold start are measured in the fixture `run`; a process for each model takes its time."""
    for module in (classification, instruments):
        monkeypatch.setattr(module, "peak_memory_mb", lambda *args: 1.0)
    monkeypatch.setattr(instruments, "cold_start_ms", lambda *args: 1.0)


def test_the_result_follows_the_shipped_schema(run):
    result = json.loads((run / "result.json").read_text())
    jsonschema.validate(result, compression_json_schema())
    assert is_compression(run) and read_compression(run) == result
    assert [row["step"] for row in result["steps"]] == ["reference", "layers=1", "vocabulary", "int8"]
    assert result["steps"][0]["config"] is None  # its head fits the labels: taken as it is
    assert result["chosen"]["quality"]["split"] == "test"
    assert all(row["quality"]["split"] == "validation" for row in result["steps"])
    assert result["missed_limit"] is None and result["control"] is None


def test_every_step_is_measured(run):
    reference, shallow, trimmed, small = read_compression(run)["steps"]
    assert shallow["size_mb"] < reference["size_mb"] and small["size_mb"] < trimmed["size_mb"] / 2
    for row in (reference, shallow, trimmed, small):
        for key, batch in (("latency_ms", 1), ("latency_batch32_ms", 32)):
            assert 0 < row[key]["p50"] <= row[key]["p95"] and row[key]["batch"] == batch
        assert row["peak_memory_mb"] > 1 and row["seconds"] >= 0
    assert shallow["details"] == {"kept": [1], "of": 2}


def test_every_file_of_a_run_folder_is_there(run):
    for name in ("recipe.yaml", "environment.json", "journal.jsonl", "result.json", "report.html", "predictions.json"):
        assert (run / name).stat().st_size > 0, name


def test_the_model_is_a_plain_checkpoint_and_gives_the_recorded_answers(run):
    check_loads(run / "model")
    model = lighten.load(run / "model")
    model.verify()
    assert model.self_test() == []
    test = run / read_compression(run)["folders"]["data"] / "test.jsonl"
    rows = [json.loads(line) for line in test.read_text().splitlines()]
    recorded = json.loads((run / "predictions.json").read_text())
    found = [model.labels.index(p.label) for p in model.predict([row["text"] for row in rows], max_batch=1)]
    assert found == recorded["chosen"] and recorded["labels"] == list(model.labels)


def test_the_recipe_left_behind_asks_for_the_same(run):
    from lighten.recipe import read_recipe

    recipe = read_recipe(run / "recipe.yaml")
    assert recipe.steps == ["layers=1", "vocabulary", "int8"]
    assert recipe.clock_seconds is None


def test_the_same_again_is_answered_at_once_and_another_plan_goes_on_from_it(
    unweighed, run, compress, tmp_path, monkeypatch
):
    import shutil

    out = tmp_path / "run"
    shutil.copytree(run, out)
    before = read_compression(out)

    def never(self, *args):
        raise AssertionError("done already")

    for kind in (Layers, Vocabulary):
        monkeypatch.setattr(kind, "apply", never)
    assert compress(STEPS, out).to_dict() == before
    result = compress("layers=1,vocabulary", out, dry_run=False)
    assert [row["step"] for row in result.steps] == ["reference", "layers=1", "vocabulary"]
    content = (out / "model/onnx/model.onnx").read_bytes()
    assert b"DynamicQuantizeMatMul" not in content and b"QAttention" not in content


def test_a_failure_in_the_middle_loses_nothing(unweighed, compress, tmp_path, monkeypatch):
    out, calls = tmp_path / "run", []
    layers, vocabulary = Layers.apply, Vocabulary.apply

    def counted(self, *args):
        calls.append(self.name)
        return layers(self, *args)

    def failing(self, *args):
        raise RuntimeError("the cat is on the keyboard")

    monkeypatch.setattr(Layers, "apply", counted)
    monkeypatch.setattr(Vocabulary, "apply", failing)
    with pytest.raises(lighten.LightenError, match="step 2 of 2, 'vocabulary': RuntimeError: the cat") as caught:
        compress("layers=1,vocabulary", out, dry_run=False)
    assert caught.value.exit_code == 1
    assert calls == ["layers"] and not (out / "result.json").exists()
    monkeypatch.setattr(Vocabulary, "apply", vocabulary)
    result = compress("layers=1,vocabulary", out, dry_run=False)
    assert calls == ["layers"]
    assert len(result.steps) == 3


def test_bad_input_that_a_step_finds_late_keeps_what_was_done(compress, tmp_path, monkeypatch):
    def failing(self, *args):
        raise lighten.InputError("too few", "step 'vocabulary'")

    monkeypatch.setattr(Vocabulary, "apply", failing)
    with pytest.raises(lighten.LightenError) as caught:
        compress("layers=1,vocabulary", tmp_path / "run", dry_run=False)
    assert caught.value.exit_code == 2 and "step 2 of 2" in str(caught.value)
    assert list((tmp_path / "run/work/artifacts").iterdir())


def test_a_model_for_other_labels_is_fine_tuned_first_and_its_student_compared(unweighed, compress, tmp_path):
    model = write_fitted(tmp_path / "other", labels=("x", "y", "z"))
    plan = "finetune:epochs=1,layers=1,distil:epochs=1,int8"
    result = compress(plan, tmp_path / "run", model, full=True, set=(*TARGET, "budget.size_mb=0.001"))
    jsonschema.validate(result.to_dict(), compression_json_schema())
    assert [row["step"] for row in result.steps] == ["reference", "layers=1", "distil=1", "int8"]
    assert result.steps[0]["config"]["name"] == "finetune" and result.steps[0]["seconds"] > 0
    assert result["control"]["difference"]["ci95"][0] <= result["control"]["difference"]["value"]
    assert {training["name"] for training in result["training"]} >= {"reference"}
    assert not result.fits and result["missed_limit"] == "size_mb"
    assert "without a teacher" in (tmp_path / "run/report.html").read_text()


def test_labels_in_another_order_are_those_of_the_head(unweighed, compress, tmp_path):
    model = write_fitted(tmp_path / "turned", labels=("good", "bad"))
    result = compress("layers=1", tmp_path / "run", model, dry_run=False)
    assert result.steps[0]["config"] is None
    assert list(lighten.load(result.model_folder).labels) == ["good", "bad"]


def test_it_loads_in_a_fresh_process_without_torch(run):
    script = "import sys, lighten; print(lighten.load(sys.argv[1]).self_test(), 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, str(run / "model")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[] False"


def test_seven_techniques_compose(unweighed, compress, tmp_path):
    plan = "layers=1,width=16,intermediate=32,vocabulary,distil=1,sparsify=0.5,int8"
    result = compress(plan, tmp_path / "run")
    jsonschema.validate(result.to_dict(), compression_json_schema())
    assert len(result.steps) == 8
    sizes = [row["size_mb"] for row in result.steps]
    assert sizes[-1] < sizes[0] / 4
    assert any(row["note"] for row in result.steps)  # sparsity is not faster, and the step says so
    check_loads(result.model_folder)
    assert lighten.load(result.model_folder).self_test() == []


def test_a_modernbert_from_training_to_a_folder_that_needs_no_torch(unweighed, reviews, compress, tmp_path):
    """Layers keep their kinds on the way, and a step that it cannot take is refused."""
    source = write_fitted(tmp_path / "source", layers=4, kind="modernbert")
    recipe = {
        "task": "text-classification",
        "data": {"train": str(reviews), "text": "review", "label": "verdict"},
        "model": str(source),
        "target": {"tokens": 16, "threads": 1},
        "train": {"epochs": 2, "learning_rate": 3e-3, "precision": "fp32"},
    }
    lighten.train(recipe, tmp_path / "trained")
    teacher = tmp_path / "trained/model"
    with pytest.raises(InputError, match=r"steps\[0\]: step 'width' takes bert, .* but the model is a modernbert"):
        compress("width=16,int8", tmp_path / "refused", teacher)
    compress("layers=2,vocabulary,int8", tmp_path / "run", teacher)
    model = tmp_path / "run/model"
    check_loads(model)
    config = json.loads((model / "config.json").read_text())
    assert config["layer_types"] == ["sliding_attention", "full_attention"]  # the second and the last of four
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None; import lighten.runtime as runtime;"
        f"model = runtime.load({str(model)!r}); assert model.self_test() == [];"
        "print(*(p.label for p in model.predict(['a great film ' * 40, 'dull'])))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert len(said.split()) == 2 and set(said.split()) <= {"bad", "good"}

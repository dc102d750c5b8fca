"""Compressing language models: found by themselves, measured in perplexity and tokens per second, refused clearly."""

from __future__ import annotations

import csv
import json
import shutil

import jsonschema
import numpy as np
import pytest
from tests.helpers.checkpoints import NEUTRAL
from tests.helpers.decoders import decoder, gguf_of, make_decoder

import lighten
from lighten import report
from lighten.compose import language
from lighten.compose.documents import DOCUMENT, choose_documents
from lighten.compose.open_language import is_language_model
from lighten.compress.steps import Layers
from lighten.errors import InputError
from lighten.pipeline.compression_result import compression_json_schema
from lighten.pipeline.examples import Examples
from lighten.pipeline.files import read_json
from lighten.runtime import load_generator

__all__ = ["decoder"]
TARGET = ("target.tokens=8", "target.threads=1")


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A CSV with ``body``: short texts of few words, all different."""
    random = np.random.default_rng(0)
    file = tmp_path_factory.mktemp("texts") / "texts.csv"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["body"])
        for number in range(80):
            writer.writerow([f"the {' '.join(random.choice(NEUTRAL, 6))} of {number}"])
    return file


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Tiny models need few rounds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language, "ROUNDS", 2)
        patch.setattr(language, "PROOF_ROUNDS", 2)
        patch.setattr(language, "WRITTEN", 4)
        yield


@pytest.fixture
def unweighed(monkeypatch):
    from lighten.measure import language_evidence

    for module in (language, language_evidence):
        monkeypatch.setattr(module, "peak_memory_mb", lambda *args: 1.0)


@pytest.fixture
def compress(decoder, texts):
    def call(steps, out, model=None, **options):
        return lighten.compress(model or decoder, steps, texts, out=out, **{"text": "body", "set": TARGET, **options})

    return call


@pytest.fixture(scope="module")
def run(decoder, texts, tmp_path_factory):
    """A finished compression: never write into it."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    plan = "layers=1,vocabulary,intermediate=64,distil-language:epochs=1:block=32,int4"
    lighten.compress(decoder, plan, texts, text="body", out=out, set=TARGET, full=True)
    return out


def test_the_task_is_found_and_every_step_measured(run):
    result = read_json(run / "result.json")
    jsonschema.validate(result, compression_json_schema())
    assert result["task"] == "language-modeling"
    names = [row["step"] for row in result["steps"]]
    assert names[:4] == ["reference", "layers=1", "vocabulary", "intermediate=64"]
    assert names[5] == "int4" and result["steps"][0]["config"] is None
    for row in result["steps"]:
        quality = row["quality"]
        assert quality["metric"] == "perplexity" and quality["better"] == "lower" and quality["split"] == "validation"
        assert quality["ci95"][0] <= quality["value"] <= quality["ci95"][1]
        for key in ("decode_per_s", "prefill_per_s"):
            assert 0 < row[key]["ci95"][0] <= row[key]["value"] <= row[key]["ci95"][1]
        assert row["size_mb"] > 0 and row["peak_memory_mb"] > 1
    first, cut, trimmed, narrow, healed, small = result["steps"]
    assert first["quality"]["delta"] == 0 and cut["quality"]["delta"] != 0
    assert narrow["size_mb"] < trimmed["size_mb"] < cut["size_mb"] < first["size_mb"]
    assert small["size_mb"] < healed["size_mb"] / 1.5
    # Trimming to the pieces in use changes no answer about texts of these pieces.
    assert trimmed["quality"]["value"] < cut["quality"]["value"]
    assert small["details"] == {"format": "int4-weights", "block": 32, "head_bits": 8, "whole": False}


def test_the_proof_is_on_the_sealed_test(run):
    result = read_json(run / "result.json")
    for name in ("chosen", "reference"):
        assert result[name]["quality"]["split"] == "test"
    delta = result["chosen"]["quality"]["delta"]
    assert result["comparison"]["perplexity_ratio"] == pytest.approx(1 + delta / 100, rel=1e-3)
    assert "tokens written per second" in result["sentence"] and "less is better" in result["sentence"]
    assert result["control"]["difference"]["ci95"][0] <= result["control"]["difference"]["value"]
    losses = read_json(run / "predictions.json")
    total = [np.sum(losses[name]["losses"]) for name in ("chosen", "reference")]
    ratio = np.exp((total[0] - total[1]) / np.sum(losses["reference"]["tokens"]))
    assert ratio == pytest.approx(result["comparison"]["perplexity_ratio"], rel=1e-3)


def test_the_page_says_that_less_is_better(run):
    html = (run / "report.html").read_text()
    for word in ("Perplexity (less is better)", "Tokens written per second", "perplexity on the sealed test"):
        assert word in html, word
    assert "Latency" not in html
    assert report.write(run) == run / "report.html"


def test_the_model_generates_and_verifies(run):
    model = load_generator(run / "model")
    model.verify()
    assert model.self_test() == [] and model.folder.self_test
    assert model.generate("the film", 3).tokens
    plan = [step["name"] for step in model.folder.plan]
    assert plan == ["layers", "vocabulary", "intermediate", "distil-language", "quantise"]


def test_from_the_command_line(run):
    from typer.testing import CliRunner

    from lighten.api import Compression
    from lighten.cli.app import app
    from lighten.cli.compress_summary import summary

    done = CliRunner().invoke(app, ["verify", str(run / "model")])
    assert done.exit_code == 0 and "4 self-test texts as expected" in done.stdout
    done = CliRunner().invoke(app, ["predict", str(run / "model"), "the film", "--new-tokens", "2"])
    assert done.exit_code == 0 and done.stdout
    said = summary(Compression.read(run))
    for word in ("perplexity", "written/s", "read/s", "int4", "control: the same student without a teacher"):
        assert word in said, word


def test_a_gguf_file_is_converted_on_the_way(unweighed, compress, tmp_path):
    model = tmp_path / "gguf"
    model.mkdir()
    gguf_of(model / "tiny.gguf", make_decoder(vocabulary=_pieces()), "Q8_0")
    assert is_language_model(model) and is_language_model(model / "tiny.gguf")
    result = compress("int8", tmp_path / "run", model, dry_run=False)
    assert result.steps[0]["details"]["architecture"] == "llama"
    assert result.steps[1]["quality"]["delta"] == pytest.approx(0, abs=5)
    assert (result.model_folder / "model.safetensors").is_file()
    result = compress("int8", tmp_path / "file", model / "tiny.gguf", dry_run=False)
    assert [row["step"] for row in result.steps] == ["reference", "int8"]


def _pieces():
    from tests.helpers.decoders import byte_tokenizer

    return byte_tokenizer().get_vocab_size()


def test_limits(unweighed, compress, tmp_path):
    limits = ("budget.quality=-0.001", "budget.throughput_per_s=1", "budget.size_mb=100")
    result = compress("layers=1", tmp_path / "run", dry_run=False, set=(*TARGET, *limits))
    jsonschema.validate(result.to_dict(), compression_json_schema())
    units = {limit["name"]: limit["unit"] for limit in result["limits"]}
    assert units == {"quality": "%", "throughput_per_s": "tokens/s", "size_mb": "MB"}
    worse = result["chosen"]["quality"]["delta"] > 0.001
    assert (result["missed_limit"] == "quality") is worse
    assert "more perplexity than the reference" in (tmp_path / "run/report.html").read_text()


def test_a_failure_loses_nothing_and_the_same_again_is_answered_at_once(unweighed, compress, tmp_path, monkeypatch):
    from lighten.compress.steps import Quantise

    calls, layers, quantise = [], Layers.apply, Quantise.apply

    def counted(self, *args):
        calls.append(self.name)
        return layers(self, *args)

    def failing(self, *args):
        raise RuntimeError("the power is out")

    monkeypatch.setattr(Layers, "apply", counted)
    monkeypatch.setattr(Quantise, "apply", failing)
    with pytest.raises(lighten.LightenError, match="step 2 of 2, 'int8': RuntimeError: the power is out"):
        compress("layers=1,int8", tmp_path / "run", dry_run=False)
    monkeypatch.setattr(Quantise, "apply", quantise)
    first = compress("layers=1,int8", tmp_path / "run", dry_run=False)
    assert calls == ["layers"]
    assert compress("layers=1,int8", tmp_path / "run").to_dict() == first.to_dict()


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("layers=1,distil", ["'distil' is for classifiers", "a language model has 'distil-language'"]),
        ("finetune,layers=1", ["a language model has 'finetune-language'"]),
        ("width=32", ["'width' is for classifiers; language models know layers, intermediate"]),
        ("int8-static", ["dry run", "format 'int8-static' is for encoders", "int8 or int4"]),
        ("mixed", ["format 'mixed' is for encoders"]),
        ("intermediate=64:importance=taylor", ["dry run", "importance must be 'magnitude' for a language model"]),
        ("layers=3", ["'layers' needs 3 layers, but the model has 2"]),
        ("int8,layers=1", ["'int8' must be the last step"]),
    ],
)
def test_wrong_plans(compress, tmp_path, steps, words):
    with pytest.raises(InputError) as caught:
        compress(steps, tmp_path / "run")
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"label": "body"}, ["the task language-modeling has no labels"]),
        ({"text": "bodi"}, ["bodi", "did you mean 'body'?"]),
        ({"set": ["target.tokens=63"]}, ["target.tokens", "at most 62 tokens"]),
        ({"set": [*TARGET, "target.batch=2"]}, ["target.batch", "one text at a time"]),
        ({"set": [*TARGET, "budget.latency_ms=5"]}, ["throughput_per_s"]),
        ({"set": [*TARGET, "budget.quality=80"]}, ["below zero", "-5 allows 5% more perplexity"]),
        ({"set": [*TARGET, "task=text-classification"]}, ["llama"]),
    ],
)
def test_wrong_options(compress, tmp_path, options, words):
    with pytest.raises(InputError) as caught:
        compress("layers=1", tmp_path / "run", **options)
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_other_models_are_told_apart(decoder, tmp_path):
    assert is_language_model(decoder)
    assert not is_language_model(tmp_path) and not is_language_model(tmp_path / "missing")
    shutil.copyfile(decoder / "config.json", tmp_path / "config.json")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": ["LlamaForSequenceClassification"]}))
    assert not is_language_model(tmp_path)


def test_documents_are_cut_between_tokens_and_bounded(decoder):
    from lighten.models.tokens import read_tokenizer

    long = "the film of the year " * 200
    texts = [long, "a", *(f"the plot and the scene number {n}" for n in range(50))]
    examples = Examples(texts, [0] * 52, list(range(52)))
    found = choose_documents(decoder, examples, 400, seed=1, where="data.test")
    assert found.rows == choose_documents(decoder, examples, 400, seed=1, where="data.test").rows
    tokenizer = read_tokenizer(decoder)
    lengths = [len(tokenizer.encode(text).ids) for text in found.texts]
    assert sum(lengths) <= 400 and max(lengths) <= DOCUMENT and "a" not in found.texts
    assert all(examples.texts[row].startswith(text) for row, text in zip(found.rows, found.texts, strict=True))
    with pytest.raises(InputError, match="no document has 8 tokens"):
        choose_documents(decoder, Examples(["a", "b"], [0, 0], [0, 1]), 400, 0, "data.test")

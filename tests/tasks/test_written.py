"""How long measuring summaries takes, which pieces make sense, and how much of a text is read by default."""

from __future__ import annotations

import pytest
from tests.tasks.conftest import write_csv, write_language_model

import lighten
from lighten.errors import InputError
from lighten.pipeline.examples import Examples
from lighten.progress import Progress
from lighten.recipe import parse_recipe
from lighten.tasks import written
from lighten.tasks.summarize import reads_in_windows
from lighten.tasks.written import CLOSING_SHARE, Written

TEXTS = [f"Text {number}. " + "The film was great. " * (5 * number + 5) for number in range(8)]


def recipe(model, data="data.csv", generate=None, **train):
    return {
        "task": "summarization",
        "data": {"train": str(data), "text": "text", "summary": "summary", "prepare": []},
        "model": str(model),
        "train": {"from_scratch": True, "precision": "fp32", "epochs": 1, **train},
        "generate": {"max_tokens": 4, "beams": 1, "documents": 1, **(generate or {})},
    }


class Job:
    """What `Written` asks of a job."""

    def __init__(self, folder, **generate):
        self.recipe, self.source, self.left = parse_recipe(recipe(folder, generate=generate)), folder, 1e9
        self.clock = self

    def examples(self, part):
        return Examples(TEXTS, [0] * len(TEXTS), list(range(len(TEXTS))))


class Slow(Written):
    """Needs a second for a hundred characters, by a clock of its own."""

    def __init__(self, job):
        super().__init__(job, 64)
        self.now, self.calls = 0.0, []

    def perf_counter(self):
        return self.now

    def write(self, model, texts):
        self.calls.append(len(texts))
        self.now += sum(map(len, texts)) / 100
        return [text[:7] for text in texts]


@pytest.fixture(scope="module")
def bart(tmp_path_factory):
    return write_language_model(tmp_path_factory.mktemp("bart") / "model", "bart")


@pytest.fixture
def slow(bart, monkeypatch):
    made = Slow(Job(bart, documents=None))
    monkeypatch.setattr(written, "time", made)
    return made


def test_one_text_of_middle_length_is_timed(slow):
    middle = sorted(map(len, TEXTS))[4] / 100
    assert slow.closing_time(None) == pytest.approx(middle * 16)
    assert slow.calls == [1]
    slow.job.left = 10.0
    assert slow.closing_time(None) == CLOSING_SHARE * 10


@pytest.mark.parametrize("seconds", [0.5, 3.0, 8.0, 20.0])
def test_measuring_keeps_to_its_time_but_for_the_first_text(slow, seconds):
    texts = ["x" * 100] * 20  # a second each
    found = slow._within(None, texts, seconds)
    assert slow.calls[0] == 1
    assert len(found) == max(1, min(20, int(seconds))) and slow.now <= max(1.0, seconds)


def test_without_a_clock_all_at_once(slow):
    assert len(slow._within(None, TEXTS, None)) == len(TEXTS) and slow.calls == [8]


def test_a_piece_must_be_longer_than_its_summary_for_this_model(bart):
    with pytest.raises(InputError, match=r"pieces have 64 tokens \(chunk 4000.*summaries up to 600") as caught:
        Written(Job(bart, chunk=4000, max_tokens=600), 64)
    assert caught.value.where == "generate.chunk"
    Written(Job(bart, chunk=4000, max_tokens=600), 64, writes=32)  # the model itself writes no more than 31
    Written(Job(bart, max_tokens=600), 64)  # nothing is joined


def test_the_command_line_refuses_such_pieces(bart, tmp_path):
    import yaml
    from typer.testing import CliRunner

    from lighten.cli.app import app

    data = write_csv(tmp_path / "texts.csv", {"text": TEXTS * 5, "summary": ["the film was great"] * 40})
    (tmp_path / "it.yaml").write_text(yaml.safe_dump(recipe(bart, data, {"chunk": 70, "max_tokens": 63})))
    done = CliRunner().invoke(app, ["train", str(tmp_path / "it.yaml"), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    (tmp_path / "it.yaml").write_text(
        yaml.safe_dump(recipe(bart, data, {"chunk": 70, "max_tokens": 60}, max_tokens=60))
    )
    done = CliRunner().invoke(app, ["train", str(tmp_path / "it.yaml"), "--out", str(tmp_path / "other")])
    assert done.exit_code == 2 and "generate.chunk" in done.output + str(done.stderr)


class Notes(Progress):
    """Keeps notes."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture(scope="module")
def long_data(tmp_path_factory):
    """Texts of which a third have about 1,300 tokens."""
    sentences = [f"The film was great {number}. " * (160 if number % 3 == 0 else 3) for number in range(30)]
    columns = {"text": sentences, "summary": [f"great {number}" for number in range(30)]}
    return write_csv(tmp_path_factory.mktemp("long") / "texts.csv", columns)


def trained(model, data, out, **train):
    progress = Notes()
    result = lighten.train(recipe(model, data, **train), out, progress=progress)
    said = [note for note in progress.notes if "attends fully" in note]
    return result["data"]["max_tokens"], said


def test_led_reads_all_that_it_takes_and_is_trained(long_data, tmp_path):
    model = write_language_model(tmp_path / "led", "led")
    assert trained(model, long_data, tmp_path / "run") == (2048, [])


def test_full_attention_is_capped_and_the_user_is_told(long_data, bart, tmp_path):
    import json

    model = write_language_model(tmp_path / "bart", "bart")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 2048}))
    read, said = trained(model, long_data, tmp_path / "run")
    assert read == 1024 and len(said) == 1 and "1,024 of the 2,048" in said[0]
    assert trained(model, long_data, tmp_path / "more", max_tokens=1100) == (1100, [])
    assert trained(bart, long_data, tmp_path / "short") == (64, [])


def test_an_extended_encoder_reads_in_windows(bert, tmp_path):
    from lighten.models.warm_start import load_from_encoder

    lighten.extend(bert, 2048, window=4, out=tmp_path / "long")
    assert reads_in_windows(load_from_encoder(tmp_path / "long", 0))
    assert not reads_in_windows(load_from_encoder(bert, 0))

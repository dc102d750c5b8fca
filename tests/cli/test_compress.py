from __future__ import annotations

import json

import pytest
from tests.report.compression_sample import bare_compression, compression_result

import lighten
import lighten.compose.run as orchestration
from lighten.errors import BuildError, InputError
from lighten.pipeline.files import write_json

ARGUMENTS = ("compress", "models/mine", "--with", "layers=3,int8", "--data", "reviews.csv")


@pytest.fixture
def work(monkeypatch, tmp_path):
    """Stand in for the work: records its arguments and answers with `work.result` or raises it."""
    monkeypatch.chdir(tmp_path)

    class Work:
        def __init__(self):
            self.result, self.calls = compression_result(), []

        def __call__(self, recipe, out, **rest):
            self.calls.append({"recipe": recipe, "out": out, **rest})
            if isinstance(self.result, BaseException):
                raise self.result
            (out / "model").mkdir(parents=True, exist_ok=True)
            write_json(out / "result.json", self.result)
            return self.result

    fake = Work()
    monkeypatch.setattr(orchestration, "compress", fake)
    return fake


def test_a_compression(run, work, tmp_path):
    done = run(*ARGUMENTS)
    assert done.exit_code == 0, done.stderr
    for word in (
        "81.7% on the sealed test",
        "p50 ms, 32",
        "prune=2:4",
        "note: prune=2:4: ONNX Runtime does not run it faster",
        "control: the same student without a teacher",
        "at most 20 MB",
        "runs/mine-compressed/report.html",
        "lighten predict runs/mine-compressed/model",
    ):
        assert word in done.stdout, word
    assert (tmp_path / "runs/mine-compressed/report.html").is_file()
    (call,) = work.calls
    assert call["recipe"].steps == ["layers=3", "int8"]
    assert call["command"] == "lighten compress models/mine --with layers=3,int8 --data reviews.csv"
    assert call["dry_run"] and not call["full"]


def test_options_reach_the_work(run, work):
    more = ("--text", "body", "--label", "stars", "--minutes", "3", "--full", "--no-dry-run", "--out", "my run")
    done = run(*ARGUMENTS, *more, "--set", "target.threads=4")
    assert done.exit_code == 0, done.stderr
    (call,) = work.calls
    recipe = call["recipe"]
    assert (recipe.data.text, recipe.data.label, recipe.clock_seconds, recipe.target.threads) == (
        "body",
        "stars",
        180,
        4,
    )
    assert call["full"] and not call["dry_run"]
    assert str(call["out"]) == "my run"
    assert call["command"].endswith("--minutes 3.0 --set target.threads=4 --full --out 'my run'")


def test_a_recipe_with_steps(run, work, recipe):
    done = run("compress", recipe, "--with", "layers=2")
    assert done.exit_code == 0, done.stderr
    (call,) = work.calls
    assert call["recipe"].steps == ["layers=2"] and str(call["base"]) == "recipes"


def test_json_is_the_result_and_nothing_else(run, work):
    assert json.loads(run(*ARGUMENTS, "--json").stdout) == work.result


def test_a_missed_limit_exits_3_and_delivers(run, work, tmp_path):
    work.result = bare_compression()
    done = run(*ARGUMENTS)
    assert done.exit_code == 3
    assert "NOT MET" in done.stdout
    assert (tmp_path / "runs/mine-compressed/model").is_dir()


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InputError("no column 'x'", "a.csv"), 2, "error: a.csv: no column 'x'"),
        (BuildError("step 2 of 3, 'distil': diverged"), 1, "error: step 2 of 3"),
        (KeyboardInterrupt(), 130, "run the same command to go on"),
    ],
)
def test_errors(run, work, error, status, words):
    work.result = error
    done = run(*ARGUMENTS)
    assert done.exit_code == status
    assert words in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("m",), "--with"),
        (("m", "--with", "int8"), "--data"),
        (("none.yaml",), "no such recipe"),
        ((*ARGUMENTS[1:], "--minutes", "-1"), "build_minutes"),
        ((*ARGUMENTS[1:], "--set", "target.thread=1"), "did you mean 'threads'?"),
    ],
)
def test_bad_input_exits_2_before_anything_is_made(run, work, tmp_path, arguments, words):
    done = run("compress", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert work.calls == [] and list(tmp_path.iterdir()) == []


def test_from_python(work):
    result = lighten.compress("models/mine", "layers=3,int8", "reviews.csv")
    assert result.fits and isinstance(result, lighten.Compression)
    assert [row["step"] for row in result.steps][-1] == "int8"
    assert lighten.Compression.read(result.folder) == result
    assert lighten.compress.__name__ == "lighten.compress"  # still the package of the steps

from __future__ import annotations

import json

import pytest
from tests.report.compression_sample import compression_result
from tests.report.explained_sample import write_run
from tests.report.sample import bare_result, infeasible_result

import lighten


def test_it_prints_the_choice_the_limits_the_steps_and_the_flips(run, tmp_path):
    done = run("explain", write_run(tmp_path / "reviews"))
    assert done.exit_code == 0, done.stderr
    text = " ".join(done.stdout.split())
    for words in (
        "A 2-layer int8 student fits",
        "why this one The rule: of the models within every limit on cost that hold the quality floor",
        "linear cheaper (p95 0.11 ms against 1.78 ms), but fails the floor",
        "6 models were compared on validation",
        "what bound Latency, p95 at most 4 ms 1.78 ms met 56% left",
        "The nearest limit: size on disk.",
        "size 12.6 MB, 5.0% more: student-4L-12k-int8",
        "layers 6 to 2 + distil 2.7 -63% 63 -31% 83.6 -2.0",
        "fresh 10 90.0 70.0 1 3",
        "fresh: was right, is wrong now row 106 said rotten broken 0",
        "where the time went 7 min 48 s in all",
        "not trained, and why 2 shapes",
    ):
        assert words in text, words
    assert done.stderr == ""


def test_no_text_of_the_data_can_steer_the_terminal(run, tmp_path):
    done = run("explain", write_run(tmp_path))
    assert "\x1b" not in done.stdout
    assert "second line [31mred" in done.stdout


def test_examples_bound_the_texts(run, tmp_path):
    folder = write_run(tmp_path)
    assert (
        run("explain", folder, "--examples", 1).stdout.count("row 1") == 3
    )  # broken fresh, fixed fresh, fixed rotten
    assert "row 1" not in run("explain", folder, "--examples", 0).stdout
    assert run("explain", folder, "--examples", -1).exit_code == 2


def test_json_is_the_document_of_the_python_call(run, tmp_path):
    folder = write_run(tmp_path)
    done = run("explain", folder, "--json", "--examples", 2)
    assert json.loads(done.stdout) == lighten.explain(folder, examples=2)


@pytest.mark.parametrize("make", [infeasible_result, bare_result])
def test_infeasible_builds_are_explained(run, tmp_path, make):
    result = {**make(), "folders": {"data": "work/data"}}
    done = run("explain", write_run(tmp_path, result))
    assert done.exit_code == 0, done.stderr
    assert ("nearest miss" in done.stdout) == (result["chosen"] is not None)


def test_a_compression(run, tmp_path):
    result = {**compression_result(), "folders": {"data": "work/data"}}
    done = run("explain", write_run(tmp_path, result))
    assert done.exit_code == 0, done.stderr
    assert "what each step bought" in done.stdout and "why this one" not in done.stdout


@pytest.mark.parametrize(
    ("gone", "words"), [("result.json", "no result here"), ("predictions.json", "predictions.json: missing")]
)
def test_what_is_missing_exits_2(run, tmp_path, gone, words):
    folder = write_run(tmp_path)
    (folder / gone).unlink()
    done = run("explain", folder)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr

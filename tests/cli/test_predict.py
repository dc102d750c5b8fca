from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lighten.runtime import load


def test_texts_as_arguments(run, shared_model_folder):
    done = run("predict", shared_model_folder, "a good film", "bad\tand\nlong")
    assert done.exit_code == 0
    expected = load(shared_model_folder).predict(["a good film", "bad\tand\nlong"])
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == [one.label for one in expected]
    assert [row[1] for row in rows] == [f"{one.score:.4f}" for one in expected]
    assert [row[2] for row in rows] == ["a good film", "bad and long"]


def test_json_is_one_document_with_everything(run, shared_model_folder):
    done = run("predict", shared_model_folder, "good", "bad", "--json", "--threads", 1)
    found = json.loads(done.stdout)
    assert [row["text"] for row in found] == ["good", "bad"]
    for row in found:
        assert set(row) == {"text", "label", "score", "scores", "tokens", "truncated"}
        assert sum(row["scores"].values()) == pytest.approx(1)
        assert row["label"] == max(row["scores"], key=row["scores"].get)
    assert done.stderr == ""


def test_standard_input_is_one_text_per_line(run, shared_model_folder):
    done = run("predict", shared_model_folder, "--json", input="good\n\nbad\r\nlast")
    assert [row["text"] for row in json.loads(done.stdout)] == ["good", "", "bad", "last"]


def test_empty_input_gives_an_empty_list(run, shared_model_folder):
    assert json.loads(run("predict", shared_model_folder, "--json", input="").stdout) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "good film\nbad, film\n"),
        ("a.jsonl", '{"text": "good film"}\n\n{"text": "bad, film", "x": 1}\n'),
        ("b.jsonl", '"good film"\n"bad, film"\n'),
        ("a.csv", 'id,text\n1,good film\n\n2,"bad, film"\n'),
        ("a.tsv", "text\tid\ngood film\t1\nbad, film\t2\n"),
        ("bom.csv", '\ufefftext\ngood film\n"bad, film"\n'),
    ],
)
def test_files(run, tmp_path, shared_model_folder, name, content):
    (tmp_path / name).write_text(content)
    done = run("predict", shared_model_folder, "--input", tmp_path / name, "--json")
    assert done.exit_code == 0, done.stderr
    assert [row["text"] for row in json.loads(done.stdout)] == ["good film", "bad, film"]


def test_a_quoted_field_keeps_its_line_end(run, tmp_path, shared_model_folder):
    (tmp_path / "a.csv").write_text('text\n"two\nlines"\n')
    done = run("predict", shared_model_folder, "--input", tmp_path / "a.csv", "--json")
    assert [row["text"] for row in json.loads(done.stdout)] == ["two\nlines"]


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("a.csv", b"body\nx\n", (), ["a.csv", "no column 'text'", "body"]),
        ("a.csv", b"review\nx\n", ("--column", "reviews"), ["did you mean 'review'?"]),
        ("a.csv", b"", (), ["a.csv", "empty"]),
        ("a.csv", b"id,text\n1,a\n2\n", (), ["a.csv, line 3", "1 fields, expected 2"]),
        ("a.csv", b'text\n"a" b\n', (), ["a.csv, line 2", "not valid CSV"]),
        ("a.txt", b"good\nb\xe9d\n", (), ["a.txt, line 2", "not UTF-8", "0xe9"]),
        ("a.jsonl", b'{"text": "a"}\n{"txt": "b"}\n', (), ["a.jsonl, line 2", "no key 'text'", "did you mean 'txt'?"]),
        ("a.jsonl", b'{"text": 3}\n', (), ["a.jsonl, line 1", "must be text", "3"]),
        ("a.jsonl", b"{\n", (), ["a.jsonl, line 1", "not valid JSON"]),
        (None, b"", (), ["no such file"]),
    ],
)
def test_bad_files_exit_2_with_their_place_and_no_output(
    run, tmp_path, shared_model_folder, name, content, options, words
):
    if name:
        (tmp_path / name).write_bytes(content)
    done = run("predict", shared_model_folder, "--input", tmp_path / (name or "none.csv"), "--json", *options)
    assert done.exit_code == 2
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr


def test_bad_standard_input_is_named(shared_model_folder):
    command = [sys.executable, "-m", "lighten", "predict", str(shared_model_folder)]
    done = subprocess.run(command, input=b"a\n\xff\n", capture_output=True)
    assert done.returncode == 2
    assert b"standard input, line 2" in done.stderr


def test_texts_and_a_file_exclude_each_other(run, tmp_path, shared_model_folder):
    done = run("predict", shared_model_folder, "good", "--input", tmp_path / "a.csv")
    assert done.exit_code == 2
    assert "not both" in done.stderr


def test_a_missing_model_exits_2(run, tmp_path):
    done = run("predict", tmp_path / "none", "good")
    assert done.exit_code == 2
    assert "none" in done.stderr


def test_cut_texts_are_said(run, shared_model_folder):
    done = run("predict", shared_model_folder, "good " * 3000)
    assert "1 texts were longer" in done.stderr


def test_verify(run, model_folder):
    done = run("verify", model_folder)
    assert done.exit_code == 0, done.stderr
    assert "self-test texts as expected" in done.stdout
    (model_folder / "tokenizer.json").write_bytes((model_folder / "tokenizer.json").read_bytes() + b" ")
    done = run("verify", model_folder)
    assert done.exit_code == 2
    assert "tokenizer.json" in done.stderr

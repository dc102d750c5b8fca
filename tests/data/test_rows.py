"""However the rows are cut and whoever works on them, the outcome is the same, and no row is lost from sight."""

import gzip
import json
import random
from collections import Counter

import polars as pl
import pytest

from lighten.data import prepare
from lighten.data.deduplicate import Deduplicate
from lighten.data.job import JobFolder
from lighten.data.rejected import read_rejected
from lighten.data.work import Work
from lighten.errors import BuildError, InputError
from lighten.pipeline import read_examples
from lighten.recipe import Data

FILES = ("train.jsonl", "validation.jsonl", "test.jsonl", "labels.json", "rejected.jsonl", "unlabelled.jsonl")
STEPS = [{"filter": {"column": "kind", "drop": ["plot"]}}, "clean", {"normalise": {"urls": "<url>"}}, "deduplicate"]


def rows(count=120, seed=0):
    draw = random.Random(seed)
    words = [
        "Caf\u00e9",
        "&amp;",
        "<br>",
        "http://a.b/c",
        "film",
        "\u0641\u064a\u0644\u0645",
        "\U0001f600",
        "a  b",
        "fine",
    ]
    made = []
    for number in range(count):
        text = " ".join(draw.choices(words, k=draw.randrange(1, 6))) + (f" {number}" if draw.random() < 0.7 else "")
        made.append(
            {
                "text": draw.choice([text, text, text, "", None]) if number % 9 == 0 else text,
                "label": None if number % 31 == 0 else draw.choice(["fresh", "rotten"]),
                "kind": "plot" if number % 13 == 0 else "review",
                "stars": draw.choice([1, 2.5, None]),
            }
        )
    return made


@pytest.fixture
def source(tmp_path):
    def write(ending, made=None):
        made = rows() if made is None else made
        path = tmp_path / f"data.{ending}"
        table = pl.from_dicts(made, infer_schema_length=None)
        if ending == "csv":
            table.write_csv(path)
        elif ending == "parquet":
            table.write_parquet(path)
        elif ending == "arrow":
            table.write_ipc(path)
        elif ending == "json":
            path.write_text(json.dumps(made))
        else:
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made).encode()
            path.write_bytes(gzip.compress(lines) if ending.endswith("gz") else lines)
        return path.name

    return write


def data(train, **changes):
    return Data(**{"train": train, "text": "text", "label": "label", "prepare": STEPS, **changes})


def run(folder, recipe, base, **work):
    report = prepare(recipe, 0, folder, base, work=Work(base / f"work-{folder.name}", **work))
    return outcome(folder, report)


def outcome(folder, report):
    """Everything that is left behind, without what the clock says."""
    steps = [{key: value for key, value in step.items() if key != "seconds"} for step in report["steps"]]
    files = {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}
    return files, {**report, "steps": steps, "seconds": 0}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "jsonl.gz", "json", "parquet", "arrow"])
def test_the_size_of_chunks_changes_nothing(tmp_path, source, ending):
    recipe = data(source(ending, rows(60)))
    whole = run(tmp_path / "whole", recipe, tmp_path)
    assert len(whole[1]["steps"]) >= 4
    for size in (1, 7, 1000) if ending in ("csv", "jsonl", "parquet") else (7,):
        assert run(tmp_path / f"by-{size}", recipe, tmp_path, rows=size) == whole
    assert run(tmp_path / "bytes", recipe, tmp_path, size=1000) == whole


def test_every_format_gives_the_same_splits(tmp_path, source):
    made = [{**row, "text": row["text"] or None} for row in rows()]
    found = {}
    for ending in ("csv", "jsonl", "parquet"):
        files, _ = run(tmp_path / ending, data(source(ending, made)), tmp_path, rows=17)
        found[ending] = [
            [json.loads(line)["text"] for line in files[f"{name}.jsonl"].splitlines()]
            for name in ("train", "validation", "test")
        ]
    assert found["csv"] == found["jsonl"] == found["parquet"]


def test_the_number_of_processes_changes_nothing(tmp_path, source, monkeypatch):
    recipe = data(source("jsonl"))
    whole = run(tmp_path / "whole", recipe, tmp_path)
    for workers, seed in ((2, "1"), (3, "2")):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        assert run(tmp_path / f"by-{workers}", recipe, tmp_path, workers=workers, rows=50) == whole


def test_with_texts_and_without_it_is_the_same(tmp_path, source, monkeypatch):
    recipe = data(source("jsonl"), group="kind", prepare=["clean", "deduplicate"])
    recipe = recipe.model_copy(update={"group": None})
    slim = run(tmp_path / "slim", recipe, tmp_path, rows=10)
    monkeypatch.setattr(Deduplicate, "needs_text", True)
    assert run(tmp_path / "full", recipe, tmp_path, rows=10) == slim


def test_every_row_is_kept_or_rejected_with_a_reason(tmp_path, source):
    test = source("csv", rows(40, seed=1))
    recipe = data(source("jsonl"), test=test)
    report = prepare(recipe, 0, tmp_path / "out", tmp_path)
    kept = Counter({name: len(read_examples(tmp_path / "out" / f"{name}.jsonl")) for name in report["splits"]})
    rejected = read_rejected(tmp_path / "out")
    assert sum(report["rows_read"].values()) == kept.total() + len(rejected)
    assert len(rejected) == report["rejected"] == sum(report["dropped"].values())
    assert Counter(row["reason"] for row in rejected) == Counter(report["dropped"])
    made = rows()
    for row in rejected:
        if row["file"] == "data.jsonl":
            assert row["original"] == made[row["row"] - 1]["text"]
    train = read_examples(tmp_path / "out" / "train.jsonl").rows
    assert not set(train) & {row["row"] for row in rejected if row["file"] == "data.jsonl"}


def test_totals_of_the_steps_add_up(tmp_path, source):
    report = prepare(data(source("jsonl")), 0, tmp_path / "out", tmp_path, work=Work(tmp_path / "work", rows=10))
    before = report["rows_read"]["train"]
    for step in report["steps"]:
        assert step["rows_in"] == before
        before = step["rows_out"]
        assert step["rows_in"] - sum(step["dropped"].values()) == step["rows_out"]
        assert step["seconds"] >= 0
        assert len(step["examples"]) <= 5
    assert before == sum(split["rows"] for split in report["splits"].values())


def test_a_chunk_without_marker_is_done_again_and_no_other(tmp_path, source):
    recipe, work = data(source("jsonl")), Work(tmp_path / "work", rows=20)
    first = outcome(tmp_path / "a", prepare(recipe, 0, tmp_path / "a", tmp_path, work=work))
    (folder,) = (tmp_path / "work").glob("rows-*")
    (folder / "complete").unlink()
    JobFolder(folder).marker(2).unlink()
    JobFolder(folder).part(2).write_bytes(b"half of a fi")
    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.arrow")}
    assert outcome(tmp_path / "b", prepare(recipe, 0, tmp_path / "b", tmp_path, work=work)) == first
    changed = [name for name, time in times.items() if (folder / name).stat().st_mtime_ns != time]
    assert changed == ["000002.arrow"]


def test_rows_are_taken_from_the_last_time(tmp_path, source, monkeypatch):
    recipe, work = data(source("jsonl")), Work(tmp_path / "work")
    first = outcome(tmp_path / "a", prepare(recipe, 0, tmp_path / "a", tmp_path, work=work))
    monkeypatch.setattr("lighten.data.rows.open_files", None)
    assert outcome(tmp_path / "b", prepare(recipe, 0, tmp_path / "b", tmp_path, work=work)) == first
    monkeypatch.undo()
    source("jsonl", rows(60))
    report = prepare(recipe, 0, tmp_path / "c", tmp_path, work=work)
    assert report["rows_read"] == {"train": 60}


def test_a_process_that_dies_is_an_error_that_says_what_to_do(tmp_path, source, monkeypatch):
    monkeypatch.setattr("lighten.data.crew.PYTHON", ("/bin/false",))
    with pytest.raises(BuildError, match="run the same command to go on"):
        prepare(data(source("csv")), 0, tmp_path / "out", tmp_path, work=Work(tmp_path / "work", workers=2, rows=50))
    assert not (tmp_path / "out").exists()


def test_ray_is_asked_for_by_name(tmp_path, source, monkeypatch):
    monkeypatch.setattr("lighten.pipeline.ray.importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"lighten\[cluster\]"):
        prepare(data(source("csv"), executor="ray"), 0, tmp_path / "out", tmp_path)


def test_ray_runs_the_same_task(tmp_path, source, monkeypatch):
    class Ray:
        calls = 0

        def is_initialized(self):
            return True

        def remote(self, function):
            def start(*arguments):
                Ray.calls += 1
                return function(*arguments)

            return type("Remote", (), {"remote": staticmethod(start)})

        def get(self, values):
            return values

    monkeypatch.setattr("lighten.data.executor.ray_started", Ray)
    recipe = data(source("csv"))
    whole = run(tmp_path / "whole", recipe, tmp_path)
    ray = run(tmp_path / "ray", recipe.model_copy(update={"executor": "ray"}), tmp_path, workers=2, rows=50)
    assert ray == whole
    assert Ray.calls == 2

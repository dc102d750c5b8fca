"""The file with one record per line: whole after a kill, sound JSON always."""

from __future__ import annotations

import json
import math
import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.train.metrics import JsonLines, numbers


def write(path, steps) -> JsonLines:
    sink = JsonLines(path)
    sink.resume(0)
    for step in steps:
        sink.write({"step": step, "loss": 1 / step, "validation": None})
    return sink


def read(path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_what_came_after_the_step_gone_back_to_is_forgotten(tmp_path):
    file = tmp_path / "metrics.jsonl"
    write(file, [1, 10, 20, 30])
    sink = JsonLines(file)
    sink.resume(20)
    sink.write({"step": 30, "loss": 9.0})
    assert read(file) == [1, 10, 20, 30] and json.loads(file.read_text().splitlines()[-1])["loss"] == 9.0
    sink.resume(0)
    assert file.read_text() == ""


@given(cut=st.integers(1, 60), resumed=st.sampled_from([10, 20]))
def test_a_torn_last_line_goes(tmp_path_factory, cut, resumed):
    """Wherever the kill tore it, the records after it are whole again."""
    file = tmp_path_factory.mktemp("torn") / "metrics.jsonl"
    write(file, [1, 10, 20])
    content = file.read_bytes()
    start = content.rindex(b"\n", 0, -1) + 1
    file.write_bytes(content[: max(start, len(content) - cut)])
    sink = JsonLines(file)
    sink.resume(resumed)
    sink.write({"step": 30})
    whole = read(file)
    assert whole in ([1, 10, 30], [1, 10, 20, 30]) and (resumed == 20 or 20 not in whole)
    assert cut > 1 or resumed == 10 or 20 in whole  # only its line end was missing


@pytest.mark.parametrize("line", ["", "null", "7", "[1]", '{"loss": 1}', '{"step": "x"}', "\0\0\0", '{"step": 5'])
def test_strange_lines_go(tmp_path, line):
    file = tmp_path / "metrics.jsonl"
    write(file, [1, 10])
    with file.open("a") as stream:
        stream.write(line + "\n")
    JsonLines(file).resume(99)
    assert read(file) == [1, 10]


def test_a_record_written_again_after_a_kill_is_there_once(tmp_path):
    """Killed behind the last look, after the last checkpoint: that look is taken again."""
    file = tmp_path / "metrics.jsonl"
    sink = write(file, [10, 20])
    sink.write({"step": 20, "loss": None, "validation": 80.0, "seconds": 1.0})
    again = JsonLines(file)
    again.resume(20)
    again.write({"step": 20, "loss": None, "validation": 80.0, "seconds": 2.0})
    again.write({"step": 30, "loss": 0.5, "validation": None})
    again.write({"step": 30, "loss": None, "validation": 81.0})
    kinds = [(r["step"], r["validation"]) for r in map(json.loads, file.read_text().splitlines())]
    assert kinds == [(10, None), (20, None), (20, 80.0), (30, None), (30, 81.0)]


@given(st.dictionaries(st.text(max_size=5), st.floats() | st.none() | st.integers() | st.text(max_size=3), max_size=6))
def test_every_record_is_one_line_of_sound_json(tmp_path_factory, record):
    file = tmp_path_factory.mktemp("any") / "metrics.jsonl"
    JsonLines(file).write({**record, "step": 1})
    (line,) = file.read_text().splitlines()
    found = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found.keys() == {**record, "step": 1}.keys()
    for name, value in record.items():
        if name != "step":
            assert found[name] == (None if isinstance(value, float) and not math.isfinite(value) else value)


def test_a_full_disk_leaves_no_half_record(tmp_path):
    """The system itself refuses what goes over a size; half of the line was written by then."""
    file = tmp_path / "metrics.jsonl"
    sink = write(file, [1, 10])
    before, limits = file.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        with pytest.raises(OSError):
            sink.write({"step": 20, "loss": 0.5, "note": "x" * 10_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == before
    sink.write({"step": 30})
    assert read(file) == [1, 10, 30]


def test_what_can_be_drawn():
    record = {"step": 3, "loss": 0.5, "lr": float("inf"), "validation": None, "note": "x", "flag": True}
    assert numbers(record) == {"step": 3.0, "loss": 0.5}

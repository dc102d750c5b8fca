"""Cutting a block at a time cuts where looking at every line does."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lighten.data.chunks import Layout, cut_text
from lighten.data.cut_lines import cut_lines

LINES = st.lists(st.sampled_from([b"", b" ", b"\r", b"{}", b'{"a": 1}', b"x" * 30, b"\x0b", b"\xff"]), max_size=25)


@settings(max_examples=300, deadline=None)
@given(LINES, st.booleans(), st.integers(1, 8), st.integers(1, 60), st.integers(0, 3))
@example([b"a", b"", b"b", b"", b" "], True, 2, 5, 0)
@example([b"x" * 30, b"a"], False, 1, 10, 0)
@example([], True, 1, 1, 0)
def test_the_cuts_are_the_same(tmp_path_factory, lines, closed, rows, size, start):
    raw = b"\n".join(lines) + b"\n" * closed
    path = tmp_path_factory.getbasetemp() / "lines.jsonl"
    path.write_bytes(raw)
    layout, start = Layout(str(path), path.name, "lines"), min(start, len(raw))
    assert cut_lines(layout, start, 5, 6, rows, size) == cut_text(layout, start, 5, 6, rows, size)


@pytest.mark.parametrize("size", [50, 90, 2000])
def test_lines_that_are_too_long_are_cut_off_alone(tmp_path, monkeypatch, size):
    monkeypatch.setattr("lighten.data.records.LIMIT", 100)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"a\n" * 30 + b"x" * 350 + b"\nb\nb\n" + b"y" * 100)
    layout = Layout(str(path), path.name, "lines")
    cuts = cut_lines(layout, 0, 1, 1, 20, size)
    assert cuts == cut_text(layout, 0, 1, 1, 20, size)
    assert [chunk.rows for chunk in cuts if chunk.long] == [1, 1]


def test_a_long_end_of_blank_lines_is_no_rows(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"{}\n \n{}  \n" + b" \n\n" * 100_000)
    layout = Layout(str(path), path.name, "lines")
    (cut,) = cut_lines(layout, 0, 1, 1)
    assert [cut] == cut_text(layout, 0, 1, 1)
    assert (cut.rows, cut.stop) == (3, 10)

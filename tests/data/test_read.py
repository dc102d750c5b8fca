import bz2
import csv
import gzip
import io
import json
import lzma

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lighten.data import read_table
from lighten.data.columns import FILE, ROW
from lighten.data.delimited import Dialect, read_delimited
from lighten.errors import InputError

ROWS = [{"text": "a fine, film", "label": "fresh"}, {"text": 'a "dull"\nfilm', "label": "rotten"}]


def as_csv(rows, separator=","):
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, rows[0], delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def as_json_lines(rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def write(path, content):
    path.write_bytes(content)
    return path


TEXTUAL = {
    "csv": as_csv(ROWS),
    "tsv": as_csv(ROWS, "\t"),
    "jsonl": as_json_lines(ROWS),
    "ndjson": as_json_lines(ROWS),
    "json": json.dumps(ROWS).encode(),
}


@pytest.mark.parametrize("packing", ["", ".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("ending", TEXTUAL)
def test_every_text_format_gives_the_same_table(tmp_path, ending, packing):
    content = TEXTUAL[ending]
    if packing == ".zst":
        content = zstandard(content)
    else:
        content = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[packing](content)
    table = read_table([write(tmp_path / f"a.{ending}{packing}", content)], "data.train")
    assert table.to_dicts() == ROWS


def zstandard(content):
    """A Zstandard frame with one raw block: what a compressor may write, without needing one."""
    assert len(content) < 256
    head = b"\x28\xb5\x2f\xfd" + bytes([0x20, len(content)])
    return head + ((len(content) << 3) | 1).to_bytes(3, "little") + content


@pytest.mark.parametrize("ending", ["parquet", "arrow", "feather", "ipc"])
def test_binary_formats(tmp_path, ending):
    table = pl.DataFrame({"text": ["a", "b"], "label": [True, False], "stars": [1, 5]})
    path = tmp_path / f"a.{ending}"
    table.write_parquet(path) if ending == "parquet" else table.write_ipc(path)
    assert read_table([path], "data.train").equals(table)
    if ending != "parquet":
        table.write_ipc_stream(path)
        assert read_table([path], "data.train").equals(table)


def test_rows_are_numbered_as_an_editor_counts(tmp_path):
    first = write(tmp_path / "a.csv", b"text,label\nx,1\n\ny,2\n")
    second = write(tmp_path / "b.csv", b"label,text\n3,z\n")
    table = read_table([first, second], "data.train", numbered=True).drop_nulls("text")
    assert table.select(FILE, ROW, "text").rows() == [("a.csv", 2, "x"), ("a.csv", 4, "y"), ("b.csv", 2, "z")]
    lines = write(tmp_path / "a.jsonl", b'{"a": 1}\n\n{"a": 2}\n')
    assert read_table([lines], "x", numbered=True).drop_nulls("a")[ROW].to_list() == [1, 3]


def test_orange_tab_files_have_two_lines_of_metadata(tmp_path):
    path = write(tmp_path / "a.tab", b"text\tclass\nstring\tdiscrete\nmeta\tclass\nhello\tx\nworld\ty\n")
    table = read_table([path], "x", numbered=True)
    assert table.select("text", "class", ROW).rows() == [("hello", "x", 4), ("world", "y", 5)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"a,b\n1,2\n3\n", "a.csv, row 3: expected 2 fields as in the header, found 1"),
        ("a.csv", b"a,b\n1,2\n3,4,5\n", "a.csv, row 3: expected 2 fields as in the header, found 3"),
        ("a.csv", b'a,b\n1,"2\n2"\n3\n', "a.csv, row 3 (line 4): expected 2 fields as in the header, found 1"),
        ("a.csv", b'a,b\n1,"2\n3,4\n', "a.csv, row 2: a quote that is opened here is never closed"),
        ("a.csv", b'a,b\n1,"x" y\n', "a.csv, row 2: bad quoting"),
        ("a.csv", b"a,b\n1,2\n3,\xff\n", "a.csv, row 3: byte 10 (0xff) is not UTF-8"),
        ("a.csv", b"\xff\xfea\x00,\x00b\x00\n\x00", "it looks like UTF-16"),
        ("a.csv", b"a,a\n1,2\n", "two columns are called 'a'"),
        ("a.csv", b"", "a.csv: the file is empty"),
        ("a.csv", b" \n", "a.csv: the file is empty"),
        ("a.csv", b"a,b\n", "a.csv: the file has no rows"),
        ("a.tsv", b"a\tb\n1\n", "a.tsv, row 2: expected 2 fields"),
        ("a.tab", b"a\tb\nx\ty\n\t\n1\n", "a.tab, row 4: expected 2 fields"),
        ("a.tab", b"a\tb\nx\ty\n\t\n", "the file has no rows"),
        ("a.jsonl", b'{"a": 1}\n{"a": \n', "a.jsonl, row 2: not valid JSON"),
        ("a.jsonl", b'{"a": 1}\n[1]\n', "a.jsonl, row 2: expected a JSON object per line, found list"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', "a.jsonl, row 2: byte 7 of the line is not UTF-8"),
        ("a.json", b'[{"a": 1}, 2]', "a.json, row 2: expected an object, found int"),
        ("a.json", b'{"a": 1}', "expected a JSON array"),
        ("a.json", b"[]", "the file has no rows"),
        ("a.json", b"[" * 100_000, "not valid JSON"),
        ("a.parquet", b"nonsense", "cannot be read as parquet"),
        ("a.parquet", b"", "the file is empty"),
        ("a.arrow", b"nonsense", "cannot be read as arrow"),
        ("a.csv.gz", b"nonsense", "cannot be read"),
        ("a.csv.bz2", b"BZh9nonsense", "cannot be read"),
        ("a.csv.xz", b"nonsense", "cannot be read"),
        ("a.csv.zst", b"\x28\xb5\x2f\xfdnonsense", "cannot be read"),
        ("a.cvs", b"a,b\n1,2\n", "unknown kind of file '.cvs'; known are .csv"),
        ("a.cvs", b"a,b\n1,2\n", "did you mean '.csv'?"),
        ("a.zip", b"x", "zip://FILE::a.zip"),
        ("a", b"x", "unknown kind of file ''"),
    ],
)
def test_bad_files(tmp_path, name, content, message):
    with pytest.raises(InputError) as failure:
        read_table([write(tmp_path / name, content)], "data.train")
    assert message in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_packed_file_that_grows_beyond_the_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTEN_MAX_SOURCE_BYTES", "1000")
    with pytest.raises(InputError, match="LIGHTEN_MAX_SOURCE_BYTES"):
        read_table([write(tmp_path / "a.csv.gz", gzip.compress(b"a\n" * 1000))], "x")


def test_files_must_agree_on_their_columns(tmp_path):
    paths = [write(tmp_path / "a.csv", b"a,b\n1,2\n"), write(tmp_path / "b.csv", b"a,c\n1,2\n")]
    with pytest.raises(InputError, match=r"b.csv: columns are a, c, but a.csv has a, b"):
        read_table(paths, "x")


def test_a_folder_of_tables_and_other_folders(tmp_path):
    write(tmp_path / "b.csv", b"a\n2\n")
    write(tmp_path / "a.csv", b"a\n1\n")
    assert read_table([tmp_path], "x")["a"].to_list() == ["1", "2"]
    write(tmp_path / "readme.md", b"hello")
    with pytest.raises(InputError, match=r"is a folder; name a file in it .*a.csv, b.csv, readme.md"):
        read_table([tmp_path], "data.train")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\xef\xbb\xbfa,b\n1,2\n", [("1", "2")]),
        (b"a,b\r\n1,2\r\n", [("1", "2")]),
        (b"a,b\r1,2\r3,4\r", [("1", "2"), ("3", "4")]),
        (b'a,b\n1,5" disc\n', [("1", '5" disc')]),
        (b"a,b\n007,1.0\n", [("007", "1.0")]),
        (b'a,b\n"",x\n', [(None, "x")]),
    ],
)
def test_csv_details(content, expected):
    assert read_delimited(content, "a.csv", Dialect()).rows() == expected


def test_quotes_in_a_tsv_quote_only_where_that_reading_is_regular():
    tab = Dialect("\t")
    assert read_delimited(b'a\tb\n"x\ny"\t1\n', "a", tab).rows() == [("x\ny", "1")]
    assert read_delimited(b'a\tb\n" hello\t1\nthere "\t2\n', "a", tab).rows() == [('" hello', "1"), ('there "', "2")]


def test_a_document_longer_than_the_limit_of_the_csv_module():
    long = "word " * 60_000
    table = read_delimited(f"a,b\n{long},\n".encode(), "a.csv", Dialect())
    assert table.rows() == [(long, None)]


CELLS = st.text(st.sampled_from('ab ,"\n\té'), max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8), st.sampled_from([",", "\t"]))
@example([("", "", "")], ",")
def test_whatever_the_csv_module_writes_is_read_back(rows, separator):
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerows([("x", "y", "z"), *rows])
    table = read_delimited(stream.getvalue().encode(), "a", Dialect(separator))
    assert table.rows() == [tuple(cell or None for cell in row) for row in rows]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "", "bc", '"q,r"']), min_size=1, max_size=4), min_size=1, max_size=6))
def test_a_ragged_row_never_passes(rows):
    text = "x,y,z\n" + "".join(",".join(row) + "\n" for row in rows)
    bad = [number for number, row in enumerate(rows, start=2) if len(row) != 3 and row != [""]]
    if bad:
        with pytest.raises(InputError, match=f"row {bad[0]}: expected 3 fields"):
            read_delimited(text.encode(), "a.csv", Dialect())
    else:
        assert read_delimited(text.encode(), "a.csv", Dialect()).height == len(rows)

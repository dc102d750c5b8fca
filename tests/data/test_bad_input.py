"""Bad input ends in rows of rejected.jsonl or in an error that says where: never in a crash, never in silence."""

import bz2
import gzip
import json
import lzma

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lighten.data import prepare, read_table
from lighten.data.rejected import read_rejected
from lighten.data.work import Work
from lighten.errors import InputError
from lighten.pipeline import read_examples
from lighten.recipe import Data

GOOD = [{"text": f"good text {number}", "label": "ab"[number % 2]} for number in range(20)]
SPLITS = ("train", "validation", "test")


def lines(*raw):
    good = [json.dumps(row).encode() for row in GOOD]
    return b"\n".join([*good[:10], *raw, *good[10:]]) + b"\n"


def rows_of_csv(*raw):
    good = [f"{row['text']},{row['label']}".encode() for row in GOOD]
    return b"\n".join([b"text,label", *good[:10], *raw, *good[10:]]) + b"\n"


def run(folder, name, content, **changes):
    (folder / name).write_bytes(content)
    fields = {"train": name, "text": "text", "label": "label", "prepare": ["clean"], **changes}
    work = Work(folder / "work", rows=changes.pop("rows", 7))
    fields.pop("rows", None)
    return prepare(Data(**fields), 0, folder / "out", folder, work=work)


def texts(folder):
    return {text for name in SPLITS for text in read_examples(folder / "out" / f"{name}.jsonl").texts}


BAD = [
    ("a.jsonl", lines, b'{"text": "x\xff", "label": "a"}', "invalid_utf8", "byte 11 of the line is not UTF-8"),
    ("a.jsonl", lines, b'{"text": "x", "label": ', "invalid_json", "not valid JSON"),
    ("a.jsonl", lines, b'{"text": NaN, "label": "a"}', "invalid_json", "not valid JSON"),
    ("a.jsonl", lines, b'["text", "label"]', "no_object", "expected a JSON object per line, found list"),
    ("a.jsonl", lines, b'{"text": "\\ud800 alone", "label": "a"}', "surrogate", "half of a character"),
    ("a.jsonl", lines, b"[" * 100_000, "invalid_json", "not valid JSON"),
    ("a.csv", rows_of_csv, b"x\xff,a", "invalid_utf8", "byte 1 of the row (0xff) is not UTF-8"),
    ("a.csv", rows_of_csv, b"only one", "ragged_row", "expected 2 fields as in the header, found 1"),
    ("a.csv", rows_of_csv, b"one,two,three", "ragged_row", "expected 2 fields as in the header, found 3"),
    ("a.csv", rows_of_csv, b'one,"two" three', "bad_quoting", "bad quoting"),
]


@pytest.mark.parametrize(("name", "make", "raw", "reason", "message"), BAD)
def test_a_bad_row_is_an_error_or_is_rejected(tmp_path, name, make, raw, reason, message):
    row = 11 if name.endswith("jsonl") else 12
    with pytest.raises(InputError) as failure:
        run(tmp_path, name, make(raw))
    assert f"{name}, row {row}: {message}" in str(failure.value)
    assert "data.on_bad_row" in str(failure.value)
    assert not (tmp_path / "out").exists()
    report = run(tmp_path, name, make(raw), on_bad_row="reject")
    assert report["rows_read"] == {"train": 21}
    assert report["dropped"] == {reason: 1}
    (rejected,) = read_rejected(tmp_path / "out")
    assert (rejected["file"], rejected["row"], rejected["reason"]) == (name, row, reason)
    assert rejected["original"] == raw.decode("utf-8", "backslashreplace")[:500]
    assert texts(tmp_path) == {item["text"] for item in GOOD}
    assert report["steps"][0]["name"] == "read"


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_an_open_quote_is_an_error_always(tmp_path, rows):
    with pytest.raises(InputError, match=r"a.csv, row 12: a quote that is opened here is never closed"):
        run(tmp_path, "a.csv", rows_of_csv(b'"open,a'), on_bad_row="reject", rows=rows)


def test_lines_in_quotes_do_not_shift_rows(tmp_path):
    content = rows_of_csv(b'"two\nlines",a', b"ragged")
    with pytest.raises(InputError, match=r"a.csv, row 13 \(line 14\): expected 2 fields"):
        run(tmp_path, "a.csv", content)
    run(tmp_path, "a.csv", content, on_bad_row="reject")
    assert "two lines" in texts(tmp_path)
    assert read_rejected(tmp_path / "out")[0]["row"] == 13


def test_a_row_that_is_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr("lighten.data.records.LIMIT", 1000)
    raw = json.dumps({"text": "x" * 5000, "label": "a"}).encode()
    with pytest.raises(InputError, match="row 11: the row has more than"):
        run(tmp_path, "a.jsonl", lines(raw))
    report = run(tmp_path, "a.jsonl", lines(raw), on_bad_row="reject")
    assert report["dropped"] == {"long_row": 1}
    assert len(read_rejected(tmp_path / "out")[0]["original"]) == 500
    assert texts(tmp_path) == {item["text"] for item in GOOD}


def test_a_line_of_fifty_megabytes_is_read(tmp_path):
    raw = b'{"label": "a", "text": "' + b"long " * 10_000_000 + b'"}'
    report = run(tmp_path, "a.jsonl", lines(raw), prepare=[])
    assert report["rejected"] == 0
    assert max(map(len, texts(tmp_path))) == 50_000_000


@pytest.mark.parametrize(
    "text",
    [
        "nul \0 inside",
        "\u202eright to left \u0645\u0631\u062d\u0628\u0627",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 family",
        "\U0001d11e clef",
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_strange_text_is_kept(tmp_path, name, text):
    raw = json.dumps({"text": text, "label": "a"}).encode() if name == "a.jsonl" else f"{text},a".encode()
    report = run(tmp_path, name, (lines if name == "a.jsonl" else rows_of_csv)(raw), prepare=[])
    assert text in texts(tmp_path)
    assert report["rejected"] == 0


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_mixed_types_become_text_in_one_way(tmp_path, rows):
    values = ["x", 1, 2.5, 3.0, True, None, {"a": 1}, [1, "b"], 10**30, 1e-7, "\U0001f600"]
    raw = [json.dumps({"text": value, "label": "a", "further": value}).encode() for value in values]
    run(tmp_path, "a.jsonl", lines(*raw), prepare=[], rows=rows)
    expected = {"x", "1", "2.5", "3", "true", '{"a": 1}', '[1, "b"]', "\U0001f600"}
    assert expected <= texts(tmp_path)
    assert len(texts(tmp_path)) == 20 + len(values) - 1


def test_nested_text_is_an_error_that_names_the_column(tmp_path):
    content = b"".join(
        json.dumps({"text": {"a": row["text"]}, "label": row["label"]}).encode() + b"\n" for row in GOOD
    )
    with pytest.raises(InputError, match=r"column 'text' \(data.text\) holds .*expected text"):
        run(tmp_path, "a.jsonl", content)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", "the file is empty"),
        ("a.jsonl", b" \n\n", "the file is empty"),
        ("a.csv", b"text,label\n", "the file has no rows"),
        ("a.csv", b"text,label\n,\n,\n", "column 'text' is empty in every row"),
        ("a.csv", b"text,text\nx,a\n", "two columns are called 'text'"),
        ("a.csv", b"\xff\xfet\x00", "it looks like UTF-16"),
        ("a.csv", b"txt,label\nx,a\n", "did you mean 'txt'"),
        ("a.json", b"{}", "expected a JSON array"),
        ("a.json", b"[]", "the file has no rows"),
        ("a.parquet", b"PAR1 nonsense PAR1", "cannot be read as parquet"),
        ("a.arrow", b"nonsense", "cannot be read as arrow"),
        ("a.csv.gz", b"nonsense", "cannot be read"),
        ("a.csv.xz", lzma.compress(b"text,label\nx,a\n")[:-8], "cannot be read"),
        ("a.csv.bz2", bz2.compress(b"text,label\n" * 9)[:-8], "cannot be read"),
        ("a.cvs", b"x", "did you mean '.csv'"),
    ],
)
def test_bad_files(tmp_path, name, content, message):
    with pytest.raises(InputError) as failure:
        run(tmp_path, name, content)
    assert message in str(failure.value)
    assert "\n" not in str(failure.value)
    assert {path.name for path in tmp_path.iterdir()} <= {name, "work"}
    assert not list((tmp_path / "work").glob("spool*"))


def test_all_rows_the_same(tmp_path):
    content = b'{"text": "same", "label": "a"}\n' * 50
    with pytest.raises(InputError, match="needs two labels"):
        run(tmp_path, "a.jsonl", content, prepare="auto")


def test_an_archive_bomb_is_refused(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"text,label\n" + b"0" * 200_000_000 + b",a\n", 9))
    with pytest.raises(InputError, match="zip bomb"):
        prepare(Data(train="a.csv.gz", text="text", label="label"), 0, tmp_path / "out", tmp_path)
    with pytest.raises(InputError, match="zip bomb"):
        read_table([tmp_path / "a.csv.gz"], "x")


def test_a_text_that_repeats_much_is_no_bomb(tmp_path):
    content = b"text,label\n" + b"".join(
        b"good text %d,%s\n" % (number, b"ab"[number % 2 :][:1]) for number in range(99)
    )
    assert run(tmp_path, "a.csv.gz", gzip.compress(content))["rows_read"] == {"train": 99}


def test_old_line_ends_and_byte_order_marks(tmp_path):
    content = b"\xef\xbb\xbf" + rows_of_csv()
    run(tmp_path, "a.csv", content.replace(b"\n", b"\r"))
    assert texts(tmp_path) == {item["text"] for item in GOOD}
    run(tmp_path, "b.csv", content.replace(b"\n", b"\r\n"))
    assert texts(tmp_path) == {item["text"] for item in GOOD}
    run(tmp_path, "a.jsonl", b"\xef\xbb\xbf" + lines())
    assert texts(tmp_path) == {item["text"] for item in GOOD}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(["\ud800", "\0"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
LINE = (
    st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b""))
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({"text": JSON, "label": st.sampled_from(["a", "b", None, 1])}).map(
        lambda row: json.dumps(row).encode()
    )
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(LINE, max_size=6), st.sampled_from([7, 1000]), st.booleans())
@example([b'{"text": "\\ud800", "label": "a"}'], 1, True)
@example([b'{"text": {"a": 1}, "label": "a"}', b'{"text": {"b": []}, "label": "a"}'], 3, True)
def test_no_line_crashes_or_vanishes(tmp_path_factory, raw, rows, reject):
    folder = tmp_path_factory.mktemp("bad")
    try:
        report = run(folder, "a.jsonl", lines(*raw), rows=rows, on_bad_row="reject" if reject else "error")
    except InputError as error:
        assert "\n" not in str(error)
        return
    kept = sum(report["splits"][name]["rows"] for name in SPLITS)
    assert report["rows_read"]["train"] == 20 + len(raw)
    assert kept + report["rejected"] == report["rows_read"]["train"]
    assert len(read_rejected(folder / "out")) == report["rejected"]
    assert {row["text"] for row in GOOD} <= texts(folder)


CELL = st.text(alphabet='ab,"\t\r\0\u0301\u202e\U0001f600 ', max_size=4)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(CELL, max_size=3).map(",".join), max_size=5), st.sampled_from([7, 1000]))
def test_no_delimited_row_crashes_or_vanishes(tmp_path_factory, raw, rows):
    folder = tmp_path_factory.mktemp("bad")
    try:
        report = run(folder, "a.csv", rows_of_csv(*[row.encode() for row in raw]), rows=rows, on_bad_row="reject")
    except InputError as error:
        assert "never closed" in str(error) or "label" in str(error)
        return
    kept = sum(report["splits"][name]["rows"] for name in SPLITS)
    assert kept + report["rejected"] == report["rows_read"]["train"] <= 20 + len(raw)
    assert {row["text"] for row in GOOD} <= texts(folder) | {row["original"] for row in read_rejected(folder / "out")}


def test_a_wrong_schema_in_a_second_file(tmp_path):
    pl.DataFrame({"text": ["x"], "label": ["a"]}).write_csv(tmp_path / "a.csv")
    pl.DataFrame({"text": ["x"], "lable": ["a"]}).write_csv(tmp_path / "b.csv")
    with pytest.raises(InputError, match=r"b.csv: columns are text, lable, but a.csv has text, label"):
        prepare(Data(train=["a.csv", "b.csv"], text="text", label="label"), 0, tmp_path / "out", tmp_path)

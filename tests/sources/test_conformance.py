"""What every kind of source promises, whatever it is."""

import dataclasses
import zipfile

import pytest
from tests.sources.samples import CSV

from lighten.errors import SourceError
from lighten.progress import Progress
from lighten.sources import Resolved, resolve

KINDS = ["file", "glob", "pypi", "hub", "http", "fsspec", "zip", "zip over http"]


@pytest.fixture
def source(request, tmp_path, index, hub, server):
    """(source of a CSV file, the same with a wrong name)."""
    folder, address, _ = server
    (folder / "a.csv").write_bytes(CSV)
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        archive.writestr("data/a.csv", CSV)
    local = tmp_path / "local"
    local.mkdir()
    (local / "a.csv").write_bytes(CSV)
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/lighten/a.csv", CSV)
    return {
        "file": (f"{local}/a.csv", f"{local}/b.csv"),
        "glob": (f"{local}/*.csv", f"{local}/*.tsv"),
        "pypi": ("pypi://tinydata==1.0/tinydata/a.csv", "pypi://tinydata==1.0/tinydata/b.csv"),
        "hub": ("hf://datasets/owner/rows/a.csv", "hf://datasets/owner/rows/b.csv"),
        "http": (f"{address}/a.csv", f"{address}/b.csv"),
        "fsspec": ("memory://lighten/a.csv", "memory://lighten/b.csv"),
        "zip": (f"zip://data/a.csv::{folder}/all.zip", f"zip://data/b.csv::{folder}/all.zip"),
        "zip over http": (f"zip://data/a.csv::{address}/all.zip", f"zip://data/b.csv::{address}/all.zip"),
    }[request.param]


@pytest.fixture
def nowhere(monkeypatch):
    """A hub address that nothing listens on."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


@pytest.mark.parametrize("source", KINDS, indirect=True)
def test_gives_the_file_its_fingerprint_and_the_same_again(source, nowhere):
    first = resolve(source[0])
    assert isinstance(first, Resolved) and first.source == source[0]
    assert [path.read_bytes() for path in first.paths] == [CSV]
    assert first.paths[0].name == "a.csv"
    assert first.fingerprint
    assert resolve(source[0], progress=Progress()) == first
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.source = "x"


@pytest.mark.parametrize("source", KINDS, indirect=True)
def test_says_what_is_missing_and_leaves_nothing_behind(source, nowhere, cache):
    with pytest.raises(SourceError) as failure:
        resolve(source[1])
    assert source[1] in str(failure.value)
    assert failure.value.exit_code == 2
    left = [path for path in (cache / "sources").glob(".*")] if cache.exists() else []
    assert left == []


@pytest.mark.parametrize("source", [kind for kind in KINDS if kind not in ("file", "glob", "hub")], indirect=True)
def test_a_source_above_the_limit_is_refused(source, nowhere, monkeypatch, cache):
    monkeypatch.setenv("LIGHTEN_MAX_SOURCE_BYTES", str(len(CSV) - 1))
    with pytest.raises(SourceError, match="LIGHTEN_MAX_SOURCE_BYTES"):
        resolve(source[0])
    assert not list((cache / "sources").glob("*/content/*.csv"))


def test_local_content_and_not_the_name_makes_the_fingerprint(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(CSV)
    (tmp_path / "c.csv").write_bytes(CSV + b"x")
    a, b, c = (resolve(str(tmp_path / name)).fingerprint for name in ("a.csv", "b.csv", "c.csv"))
    assert a == b != c
    folder = resolve(str(tmp_path)).fingerprint
    (tmp_path / "c.csv").rename(tmp_path / "d.csv")
    assert resolve(str(tmp_path)).fingerprint != folder

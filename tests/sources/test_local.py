import pytest

from lighten.errors import SourceError
from lighten.sources import resolve


def test_base_comes_before_the_working_directory(tmp_path, monkeypatch):
    base, here = tmp_path / "base", tmp_path / "here"
    for folder in (base, here):
        folder.mkdir()
        (folder / "both.csv").write_text(folder.name)
    (here / "only.csv").write_text("here")
    monkeypatch.chdir(here)
    assert resolve("both.csv", base=base).paths[0].read_text() == "base"
    assert resolve("both.csv").paths[0].read_text() == "here"
    assert resolve("only.csv", base=base).paths[0].read_text() == "here"


def test_glob_is_sorted_and_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("c.csv", "a.csv", "b.csv"):
        (tmp_path / name).write_text(name)
    assert [path.name for path in resolve("~/*.csv").paths] == ["a.csv", "b.csv", "c.csv"]


def test_a_file_whose_name_looks_like_a_glob(tmp_path):
    (tmp_path / "a[1].csv").write_text("x")
    assert resolve("a[1].csv", base=tmp_path).paths == (tmp_path / "a[1].csv",)


@pytest.mark.parametrize("source", ["reviws.csv", "reviws*", "reviewz/x/a.csv"])
def test_names_the_nearest(tmp_path, source):
    (tmp_path / "reviews.csv").write_text("x")
    (tmp_path / "reviews").mkdir()
    with pytest.raises(SourceError, match="did you mean 'reviews"):
        resolve(source, base=tmp_path)


def test_an_empty_source():
    with pytest.raises(SourceError, match="no source"):
        resolve(" ")

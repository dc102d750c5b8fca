import io
import stat
import struct
import tarfile
import zipfile

import pytest

from lighten.errors import SourceError
from lighten.sources import limits, resolve


def make_zip(path, *names, mode=None, content=b"x"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if mode is not None:
                info.external_attr = mode << 16
            archive.writestr(info, content)
    return path


def make_tar(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for name, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, "/etc/hostname", 1 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"x"))
    return path


BAD_NAMES = ["/etc/x", "../x", "a/../../x", "C:/x", "c:x", "a\\..\\x"]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_unsafe_names_are_refused(tmp_path, cache, name, kind):
    path = tmp_path / f"x.{kind}"
    if kind == "zip":
        make_zip(path, "ok.csv", name)
    else:
        make_tar(path, ("ok.csv", tarfile.REGTYPE), (name, tarfile.REGTYPE))
    assert resolve(f"{kind}://ok.csv::{path}").paths[0].read_bytes() == b"x"
    with pytest.raises(SourceError, match="unsafe"):
        resolve(f"{kind}://::{path}")
    assert not (tmp_path / "x").exists()


def test_links_are_refused(tmp_path):
    path = make_zip(tmp_path / "x.zip", "d/link", mode=stat.S_IFLNK | 0o777, content=b"/etc/hostname")
    with pytest.raises(SourceError, match="link"):
        resolve(f"zip://d::{path}")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        path = make_tar(tmp_path / "x.tar", ("d/link", kind))
        with pytest.raises(SourceError, match="link or device"):
            resolve(f"tar://d::{path}")


def test_folder_glob_and_everything(tmp_path):
    path = make_zip(tmp_path / "x.zip", "p/q/a.csv", "p/q/r/b.csv", "p/other.txt")
    (folder,) = resolve(f"zip://p/q::{path}").paths
    assert folder.name == "q"
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*.csv")) == ["a.csv", "r/b.csv"]
    assert [p.name for p in resolve(f"zip://p/*.csv::{path}").paths] == ["a.csv", "b.csv"]
    (whole,) = resolve(f"zip://::{path}").paths
    assert (whole / "p" / "other.txt").read_bytes() == b"x"
    with pytest.raises(SourceError, match="did you mean 'p/q'"):
        resolve(f"zip://p/qq::{path}")


def test_sizes_are_counted_and_not_believed(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTEN_MAX_SOURCE_BYTES", "1000")
    path = make_zip(tmp_path / "x.zip", "a.csv", content=b"a" * 5000)
    raw = bytearray(path.read_bytes())
    central = raw.index(b"PK\x01\x02")
    struct.pack_into("<I", raw, central + 24, 10)  # the directory now says that the file has 10 bytes
    path.write_bytes(raw)
    with pytest.raises(SourceError):
        resolve(f"zip://a.csv::{path}")


def test_a_bomb_is_refused_by_its_ratio(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "RATIO_FLOOR", 1 << 16)
    path = make_zip(tmp_path / "x.zip", "a.csv", content=b"\0" * (1 << 22))
    with pytest.raises(SourceError, match="bomb"):
        resolve(f"zip://a.csv::{path}")


def test_a_tar_bomb_before_the_file_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("LIGHTEN_MAX_SOURCE_BYTES", "100000")
    with tarfile.open(tmp_path / "x.tar", "w:gz") as archive:
        for name, size in (("big", 1 << 20), ("small.csv", 3)):
            info = tarfile.TarInfo(name)
            info.size = size
            archive.addfile(info, io.BytesIO(b"a" * size))
    with pytest.raises(SourceError, match="LIGHTEN_MAX_SOURCE_BYTES"):
        resolve(f"tar://small.csv::{tmp_path / 'x.tar'}")


def test_damage_and_not_an_archive(tmp_path):
    path = make_zip(tmp_path / "x.zip", "a.csv", content=bytes(range(256)) * 40)
    raw = bytearray(path.read_bytes())
    raw[60:70] = b"\xff" * 10
    path.write_bytes(raw)
    (tmp_path / "no.zip").write_bytes(b"hello")
    for name in ("x.zip", "no.zip"):
        with pytest.raises(SourceError, match="cannot be unpacked"):
            resolve(f"zip://a.csv::{tmp_path / name}")
    with pytest.raises(SourceError, match="after '::'"):
        resolve("zip://a.csv")


def test_a_changed_archive_is_unpacked_again(tmp_path):
    path = make_zip(tmp_path / "x.zip", "a.csv", content=b"one")
    first = resolve(f"zip://a.csv::{path}")
    make_zip(path, "a.csv", content=b"two")
    second = resolve(f"zip://a.csv::{path}")
    assert (first.paths[0].read_bytes(), second.paths[0].read_bytes()) == (b"one", b"two")

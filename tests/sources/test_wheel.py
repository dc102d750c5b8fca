import subprocess
import time

import pytest
from tests.sources.samples import CSV, make_wheel

from lighten.errors import SourceError
from lighten.sources import resolve, wheel


def test_a_second_path_and_a_second_time_need_no_pip(index, monkeypatch):
    resolve("pypi://tinydata==1.0/tinydata/a.csv")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("pip was called"))
    (model,) = resolve("pypi://tinydata==1.0/tinydata/model").paths
    assert (model / "config.json").read_bytes() == b"{}"
    started = time.perf_counter()
    again = resolve("pypi://tinydata==1.0/tinydata/a.csv")
    assert time.perf_counter() - started < 0.05
    assert again.fingerprint == "pypi://tinydata==1.0/tinydata/a.csv"


def test_one_name_however_it_is_spelled(index):
    make_wheel(index, "my_data", "1.0", {"my_data/a.csv": CSV})
    names = {resolve(f"pypi://{name}==1.0/my_data/a.csv").fingerprint for name in ("my_data", "My-Data", "my.data")}
    assert names == {"pypi://my-data==1.0/my_data/a.csv"}


@pytest.mark.parametrize(
    "source", ["pypi://tinydata/a.csv", "pypi://tinydata>=1/a.csv", "pypi://tinydata==1.*/a", "pypi://x"]
)
def test_a_version_must_be_pinned(source):
    with pytest.raises(SourceError, match="pin the version"):
        resolve(source)


@pytest.mark.parametrize("source", ["pypi://-r/etc/x", "pypi://", "pypi://../x==1/a"])
def test_no_option_can_be_passed_to_pip(source, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("pip was called"))
    with pytest.raises(SourceError):
        resolve(source)


def test_what_pip_says_is_shortened(index):
    with pytest.raises(SourceError, match=r"tinydata==2.0.*from versions: 1.0"):
        resolve("pypi://tinydata==2.0/tinydata/a.csv")
    make_wheel(index, "windata", "1.0", {"windata/a.csv": CSV}, tag="cp38-cp38-win32")
    with pytest.raises(SourceError, match="no wheel of it fits this Python and platform"):
        resolve("pypi://windata==1.0/windata/a.csv")


def test_source_distributions_are_never_taken(index):
    (index / "sdata-1.0.tar.gz").write_bytes(b"")
    with pytest.raises(SourceError, match="never read"):
        resolve("pypi://sdata==1.0/sdata/a.csv")


def test_reasons():
    assert "has no pip" in wheel._reason("/usr/bin/python: No module named pip")
    assert "cannot be reached" in wheel._reason("WARNING: Retrying: NewConnectionError('x')\nERROR: Could not find")
    assert wheel._reason("") == "pip gave no reason"


def test_an_unsafe_wheel(index):
    make_wheel(index, "evil", "1.0", {"evil/../../../x": b"x"})
    with pytest.raises(SourceError, match="unsafe"):
        resolve("pypi://evil==1.0/evil")

import os
import threading

import pytest

from lighten.errors import InputError, SourceError
from lighten.sources import cache, resolve, source_limit


def fill(key, content, replace=False):
    with cache.filling(key, "source", replace=replace) as new:
        (new.content / "a").write_bytes(content)
        new.finish(["a"], "print", fact=1)


def test_an_entry_appears_whole_or_not_at_all(cache):
    from lighten.sources import cache as module

    with pytest.raises(ZeroDivisionError), module.filling("key", "source") as new:
        (new.content / "a").write_bytes(b"half")
        raise ZeroDivisionError
    assert module.find("key") is None
    assert list((cache / "sources").iterdir()) == []
    fill("key", b"whole")
    found, facts = module.find("key")
    assert found.paths[0].read_bytes() == b"whole" and facts == {"fact": 1}


def test_the_first_to_finish_wins_unless_replacing():
    fill("key", b"one")
    fill("key", b"two")
    assert cache.find("key")[0].paths[0].read_bytes() == b"one"
    fill("key", b"three", replace=True)
    assert cache.find("key")[0].paths[0].read_bytes() == b"three"


def test_an_entry_whose_files_are_gone_is_made_again():
    fill("key", b"one")
    cache.find("key")[0].paths[0].unlink()
    assert cache.find("key") is None
    fill("key", b"two")
    assert cache.find("key")[0].paths[0].read_bytes() == b"two"


def test_what_a_killed_process_left_is_swept_after_a_day(cache):
    old, new = cache / "sources" / ".new.old", cache / "sources" / ".new.new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (1_000_000_000, 1_000_000_000))
    fill("key", b"one")
    assert not old.exists() and new.exists()


@pytest.mark.parametrize("replace", [False, True])
def test_many_at_once(replace, cache):
    from lighten.sources import cache as module

    failures = []

    def work(number):
        try:
            fill("key", b"x" * 1000, replace)
            assert replace or module.find("key") is not None
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert module.find("key")[0].paths[0].read_bytes() == b"x" * 1000
    assert len(list((cache / "sources").iterdir())) == 1


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch, index):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("LIGHTEN_CACHE", str(tmp_path / "file"))
    with pytest.raises(SourceError, match="LIGHTEN_CACHE"):
        resolve("pypi://tinydata==1.0/tinydata/a.csv")


def test_the_limit_is_checked(monkeypatch):
    assert source_limit() == 4 << 30
    for text in ("4GB", "-1", "0"):
        monkeypatch.setenv("LIGHTEN_MAX_SOURCE_BYTES", text)
        with pytest.raises(InputError, match="LIGHTEN_MAX_SOURCE_BYTES"):
            source_limit()

"""A model folder may say that fewer threads are enough; whoever measures heeds it, whoever serves may not."""

from __future__ import annotations

import json

import pytest

from lighten.errors import InputError
from lighten.export.threads import limit_threads
from lighten.measure.cost import time_in_fresh_process, timing_run
from lighten.measure.loading import load_at, threads_at
from lighten.pipeline.files import checksum
from lighten.runtime import load, read_folder


@pytest.fixture
def limited(model_folder, tmp_path):
    """The same model, served with one thread."""
    target = tmp_path / "limited"
    target.mkdir()
    limit_threads(model_folder, target, 1)
    return target


def test_it_is_the_same_model_with_other_threads(model_folder, limited):
    assert read_folder(model_folder).at_most is None
    folder = read_folder(limited)
    folder.verify()
    assert (folder.threads, folder.at_most) == (1, 1)
    names = {file.relative_to(limited).as_posix() for file in limited.rglob("*") if file.is_file()}
    assert names == {*folder.files, "lighten.json"}
    for name in folder.files:
        assert checksum(limited / name) == checksum(model_folder / name)
    assert load(limited).self_test() == []


def test_measuring_heeds_it_and_serving_as_told_does_not(model_folder, limited):
    assert threads_at(model_folder, 4) == 4
    assert (threads_at(limited, 4), threads_at(limited, 1)) == (1, 1)
    assert (load_at(limited, 4).threads, load_at(model_folder, 4).threads) == (1, 4)
    assert load(limited).threads == 1 and load(limited, threads=3).threads == 3


def test_a_timing_says_what_was_used(model_folder, limited):
    folders = {"usual": model_folder, "limited": limited}
    found = time_in_fresh_process(folders, 2, [timing_run(1, 4, 2, 0.0)])[0]
    assert (found["usual"].threads, found["limited"].threads) == (2, 1)


def test_a_number_that_is_none_is_refused(limited):
    content = json.loads((limited / "lighten.json").read_text())
    content["runtime"]["at_most"] = 0
    (limited / "lighten.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"runtime\.at_most must be a whole number of at least 1"):
        read_folder(limited)

"""Helpers are started once for all jobs, share the chunks out, and end with the crew."""

import json
import os
import signal
import subprocess
import sys

import pytest

from lighten.data import crew, prepare
from lighten.data.sizes import SIZE
from lighten.data.threads import in_order
from lighten.data.work import Work
from lighten.errors import InputError
from lighten.recipe import Data


@pytest.fixture
def hired(monkeypatch):
    """All helpers that are started."""
    found = []

    class Noted(crew.Helper):
        def __init__(self, threads):
            super().__init__(threads)
            self.done = []
            found.append(self)

        def perform(self, folder, index):
            self.done.append((folder.name.split("-")[0], index))
            return super().perform(folder, index)

    monkeypatch.setattr(crew, "Helper", Noted)
    return found


def write(path, count=60, broken=()):
    lines = [json.dumps({"text": f"text  number {number}", "label": "ab"[number % 2]}) for number in range(count)]
    for number in broken:
        lines[number] = "{broken " + str(number)
    path.write_text("\n".join(lines))
    return Data(train=str(path), text="text", label="label", prepare=["clean", "deduplicate"])


def test_helpers_do_a_share_of_all_jobs_and_are_gone_at_the_end(tmp_path, hired):
    recipe = write(tmp_path / "a.jsonl")
    report = prepare(recipe, 0, tmp_path / "out", work=Work(tmp_path / "work", workers=3, rows=5))
    assert report["rows_read"] == {"train": 60}
    assert len(hired) == 2 and all(helper.process.poll() is not None for helper in hired)
    done = [chunk for helper in hired for chunk in helper.done]
    assert len(set(done)) == len(done) and {job for job, _ in done} == {"survey", "rows"}
    assert len(done) < 24  # this process did some itself


def test_few_chunks_need_no_helpers(tmp_path, hired):
    recipe = write(tmp_path / "a.jsonl")
    prepare(recipe, 0, tmp_path / "out", work=Work(tmp_path / "work", workers=3))
    assert not hired


def test_the_first_error_is_that_of_a_single_process(tmp_path, hired):
    recipe = write(tmp_path / "a.jsonl", broken=(17, 18, 33, 59))
    errors = []
    for workers in (1, 3):
        with pytest.raises(InputError) as caught:
            prepare(recipe, 0, tmp_path / "out", work=Work(tmp_path / f"by-{workers}", workers=workers, rows=5))
        errors.append(str(caught.value))
    assert errors[0] == errors[1] and "row 18" in errors[0]
    assert all(helper.process.poll() is not None for helper in hired)


def test_progress_comes_from_the_thread_that_waits(tmp_path):
    from lighten.progress import Progress

    told = []

    class Stage:
        def update(self, done=None, total=None, **more):
            told.append((done, total))

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

    class Told(Progress):
        def stage(self, name):
            return Stage()

    recipe = write(tmp_path / "a.jsonl")
    prepare(recipe, 0, tmp_path / "out", progress=Told(), work=Work(tmp_path / "work", workers=2, rows=5))
    counted = [done for done, total in told if total == 12]
    assert counted == sorted(counted) and counted[-1] == 12


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_keep_the_order_and_do_not_run_far_ahead(threads):
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    for place, made in enumerate(in_order(lambda number: number * 2, items(), threads)):
        assert made == 2 * place
        assert len(taken) <= place + threads + 2


def test_a_module_of_the_working_folder_stands_in_for_none_of_ours(tmp_path, monkeypatch, hired):
    (tmp_path / "polars.py").write_text("raise SystemExit('not the library')")
    monkeypatch.chdir(tmp_path)
    work = Work(tmp_path / "work", workers=2, rows=5)
    prepare(write(tmp_path / "rows.jsonl"), 0, tmp_path / "out", work=work)
    assert sum(len(one.done) for one in hired) > 0


def sources(*names, **more):
    return Data(train=list(names), text="text", label="label", **more)


@pytest.mark.parametrize(
    ("size", "workers", "more", "expected"),
    [
        (SIZE - 1, 4, {}, 0),
        (SIZE, 4, {}, 1),
        (9 * SIZE, 4, {}, 3),
        (9 * SIZE, 1, {}, 0),
        (9 * SIZE, 4, {"executor": "ray"}, 0),
    ],
)
def test_as_many_are_hired_early_as_the_files_keep_busy(tmp_path, hired, size, workers, more, expected):
    with (tmp_path / "a.jsonl").open("wb") as stream:
        stream.truncate(size)
    given = sources("a.jsonl", "pypi://orange3/none", "\0", "missing-*.csv", **more)
    with crew.Crew() as one:
        one.hire_for(given, tmp_path, workers)
        assert len(hired) == expected
    assert all(helper.process.poll() is not None for helper in hired)


def test_helpers_that_were_hired_early_do_the_work(tmp_path, hired):
    recipe = write(tmp_path / "a.jsonl")
    with crew.Crew() as one:
        one.hire(2)
        prepare(recipe, 0, tmp_path / "out", work=Work(tmp_path / "work", workers=2, rows=5, crew=one))
        assert len(hired) == 1 and hired[0].done and hired[0].process.poll() is None
        prepare(recipe, 1, tmp_path / "again", work=Work(tmp_path / "more", workers=2, rows=5, crew=one))
    assert len(hired) == 1 and hired[0].process.poll() is not None


def test_hiring_imports_nothing_heavy():
    code = "import sys, lighten.data.crew; sys.exit(bool({'polars', 'numpy', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ctrl_c_reaches_no_helper_that_is_starting(tmp_path, hired):
    recipe = write(tmp_path / "a.jsonl")
    with crew.Crew() as one:
        one.hire(2)
        os.kill(hired[0].process.pid, signal.SIGINT)  # as a terminal does to the whole group
        prepare(recipe, 0, tmp_path / "out", work=Work(tmp_path / "work", workers=2, rows=5, crew=one))
    assert hired[0].done and (tmp_path / "out" / "train.jsonl").is_file()

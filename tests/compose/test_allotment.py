from __future__ import annotations

from types import SimpleNamespace

import pytest

from lighten.compose.allotment import LEAST, MOST_KEPT, Allotment
from lighten.compose.plan import arrange, control_of, read_steps
from lighten.pipeline import Journal
from lighten.progress import Progress


def work(tmp_path, limit, left):
    recipe, clock = SimpleNamespace(clock_seconds=limit), SimpleNamespace(left=left)
    journal = Journal(tmp_path / "journal.jsonl")
    return SimpleNamespace(recipe=recipe, clock=clock, journal=journal, scope="s", progress=Progress())


PLAN = arrange(read_steps("finetune,layers=1,distil,int8", "here"), None)


def test_without_a_clock_steps_go_by_their_epochs(tmp_path):
    assert Allotment(work(tmp_path, None, float("inf")), PLAN, None)(0, "reference") is None


def test_what_is_left_is_shared_equally_with_what_is_to_come(tmp_path):
    job = work(tmp_path, 600.0, 600.0)
    allot = Allotment(job, PLAN, None)
    first = allot(0, "reference")
    assert first == pytest.approx((600 - allot.kept) / 2)
    job.clock.left -= first
    assert allot(1, "distil") == pytest.approx(first)


def test_a_control_takes_its_share_and_trains_as_long_as_its_student(tmp_path):
    job = work(tmp_path, 600.0, 600.0)
    allot = Allotment(job, PLAN, control_of(PLAN))
    first = allot(0, "reference")
    assert first == pytest.approx((600 - allot.kept) / 3, abs=0.1)
    job.clock.left -= first
    student = allot(1, "distil")
    job.clock.left -= student
    assert allot(1, "control: distil") == student


def test_a_share_is_decided_once(tmp_path):
    first = Allotment(work(tmp_path, 600.0, 600.0), PLAN, None)(0, "reference")
    assert Allotment(work(tmp_path, 600.0, 200.0), PLAN, None)(0, "reference") == first


def test_little_time_is_not_all_kept_for_measuring(tmp_path):
    allot = Allotment(work(tmp_path, 20.0, 20.0), PLAN, None)
    assert allot.kept == pytest.approx(MOST_KEPT * 20)
    assert Allotment(work(tmp_path / "late", 20.0, 1.0), PLAN, None)(0, "reference") == LEAST

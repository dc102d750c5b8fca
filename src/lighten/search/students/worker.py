"""``python -m lighten.search.students.worker``: trains one student of a build, in a process or as a task of Ray.

The student lands as an artifact in the run folder, under the address that the build looks for: whoever asked finds
it done. Nothing else is written, so that a worker that dies leaves nothing behind but its checkpoints.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lighten.compress.step import ModelStep
from lighten.compress.steps import Distil
from lighten.errors import LightenError
from lighten.measure.worker import main
from lighten.pipeline import Artifact, Clock, step_from_spec
from lighten.progress import Progress, Stage
from lighten.search.run import Run
from lighten.search.students.making import Start, train_student
from lighten.search.students.space import Student

Report = Callable[[float], None]


class Shares(Progress):
    """Tells what share of a stage is done, and nothing else."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def show(self, stage: Stage) -> None:
        """Report the share, where the length is known."""
        if stage.total:
            self.report(min(1.0, stage.done / stage.total))


def student(request: dict[str, Any], report: Report = lambda share: None) -> dict[str, Any]:
    """Train a student; returns the ``key`` of its checkpoint.

    The request has ``recipe``, ``base``, ``out``, ``threads``, ``student`` (its fields), ``start`` (``checkpoint`` by
    key, ``steps`` and ``cut``), ``teacher`` (key), ``distil`` and ``seconds``.

    Raises:
        LightenError: what it should begin with is not in the run folder.
    """
    import torch

    torch.set_num_threads(request["threads"])
    run = _reopened(request, Shares(report))
    start = request["start"]
    checkpoint, teacher = (_there(run, key) for key in (start["checkpoint"], request["teacher"]))
    distil = step_from_spec("model", request["distil"], "distil")
    assert isinstance(distil, Distil)
    begin = Start(checkpoint, _steps(start["steps"]), _steps(start["cut"]))
    made, _ = train_student(run, Student.from_dict(request["student"]), begin, teacher, distil, request["seconds"])
    return {"key": made.key}


def _reopened(request: dict[str, Any], progress: Progress) -> Run:
    """Return the build as its own process knows it; all that its opening decides stands in its journal."""
    from lighten.recipe import parse_recipe
    from lighten.search.opening import identify, open_run
    from lighten.search.rungs.long_texts import choose_long

    recipe = parse_recipe(request["recipe"])
    base = None if request["base"] is None else Path(request["base"])
    run = open_run(recipe, Path(request["out"]), base, progress, identify(recipe, base, progress))
    run.clock = Clock(None)  # the build counts the time
    run.long_texts = choose_long(run)
    return run


def _there(run: Run, key: str) -> Artifact:
    found = run.workspace.find(key)
    if found is None:
        raise LightenError(f"{run.workspace.root} holds no artifact {key}: does this machine see the run folder?")
    return found


def _steps(specs: Sequence[dict[str, Any]]) -> tuple[ModelStep, ...]:
    steps = tuple(step_from_spec("model", spec, "steps") for spec in specs)
    return tuple(step for step in steps if isinstance(step, ModelStep))


if __name__ == "__main__":
    sys.exit(main({"student": student}))

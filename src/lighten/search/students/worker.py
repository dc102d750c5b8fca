"""``python -m lighten.search.students.worker``: trains one student of a build, in a process or as a task of Ray.

The student lands as an artifact in the run folder, under the address that the build looks for: whoever asked finds
it done. Nothing else is written, so that a worker that dies leaves nothing behind but its checkpoints.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lighten.compress.steps import Distil
from lighten.measure.worker import main
from lighten.pipeline import Clock, step_from_spec
from lighten.progress import Progress, Stage
from lighten.search.run import Run
from lighten.search.students.making import Start, there, train_student
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

    The request has ``recipe``, ``base``, ``out``, ``table`` (key), ``threads``, ``student`` (its fields), ``start``
    (``checkpoint`` by key, ``steps`` and ``cut``), ``teacher`` (key), ``distil`` and ``seconds``.

    Raises:
        LightenError: what it should begin with is not in the run folder.
    """
    import torch

    torch.set_num_threads(request["threads"])
    run = _reopened(request, Shares(report))
    begin, teacher = Start.from_dict(request["start"], run.workspace), there(run.workspace, request["teacher"])
    distil = step_from_spec("model", request["distil"], "distil")
    assert isinstance(distil, Distil)
    made, _ = train_student(run, Student.from_dict(request["student"]), begin, teacher, distil, request["seconds"])
    return {"key": made.key}


def _reopened(request: dict[str, Any], progress: Progress) -> Run:
    """Return the build as its own process knows it; all that its opening decides stands in its journal."""
    from lighten.recipe import parse_recipe
    from lighten.search.opening import identify, open_run
    from lighten.search.rungs.long_texts import choose_long
    from lighten.search.splits import use_splits

    recipe = parse_recipe(request["recipe"])
    base = None if request["base"] is None else Path(request["base"])
    run = open_run(recipe, Path(request["out"]), base, progress, identify(recipe, base, progress))
    run.clock = Clock(None)  # the build counts the time
    run.long_texts = choose_long(run)
    use_splits(run, there(run.workspace, request["table"]))
    return run


if __name__ == "__main__":
    sys.exit(main({"student": student}))

"""One build in a process of its own: by the search as it is, or with its choices replaced by chance.

    python benchmarks/search_peers.py '{"recipe": {...}, "out": "runs/x", "who": "ours" | "random"}'

Chance keeps all else: the same space, clock, reference, cheaper rungs, costs and proof. It begins students drawn
uniformly from those that were not trained yet, each from the reference, with its whole epochs or the time left.
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

import lighten
from lighten.search.rungs import student as rung_student
from lighten.search.students import trainings
from lighten.search.students.explore import Action, Outlook


def by_chance(seed: int) -> Any:
    """Return what stands in for `explore.several`."""
    generator = random.Random(seed)

    def several(outlook: Outlook, count: int) -> list[Action]:
        untried = [o.student for o in outlook.options if o.student not in {*outlook.curves, *outlook.failed}]
        untried.sort(key=str)
        if not untried:
            return []
        student = generator.choice(untried)
        return [Action(student, outlook.affordable(student, outlook.most), "by chance")]

    return several


def main(asked: dict[str, Any]) -> None:
    """Build and print where the result lies."""
    if asked["who"] == "random":
        rung_student.several = by_chance(asked["recipe"]["seed"])  # type: ignore[attr-defined]
        trainings.Trainings._parent = lambda self, student: None  # type: ignore[method-assign]
    result = lighten.build(asked["recipe"], asked["out"])
    print(json.dumps({"out": asked["out"], "verdict": result["verdict"]}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

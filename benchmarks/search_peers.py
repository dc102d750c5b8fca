"""One build in a process of its own: by the search as it is, or with its choices replaced by chance.

    python benchmarks/search_peers.py '{"recipe": {...}, "out": "runs/x", "who": "ours" | "random"}'

Chance keeps all else: the same space, clock, reference, cheaper rungs, costs and proof. It begins students drawn
uniformly from those that were not trained yet, each from the reference, with its whole epochs or the time left.

`olive_chosen` is the other peer: Olive's search, in its own environment, from the reference of a finished build.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import lighten
from lighten.measure.evidence import compare_answers
from lighten.measure.instruments import quality_on
from lighten.pipeline.result import read
from lighten.search.rungs import student as rung_student
from lighten.search.students import trainings
from lighten.search.students.explore import Action, Outlook

sys.path.insert(0, str(Path(__file__).parent))
import olive_compare
import olive_configs
import olive_peer


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


OLIVE_FLOOR = 1.0
"""Points on validation that Olive's chosen model may lose; where its search found none, that is its answer."""


def olive_chosen(built: Path, out: Path, minutes: float, seed: int) -> dict[str, Any]:
    """Let Olive search from the reference of a finished build.

    Args:
        built: run folder of the build.
        out: where Olive writes.
        minutes: of the search; its baseline and the candidate that is under way when they are over come on top.
        seed: of its sampler.

    Returns:
        ``folder`` of its chosen model (None where no candidate kept the floor), ``points`` more than the reference on
        validation by our measure, and what `olive_peer.run` returns.
    """
    result = read(built)
    reference, data = (built / result["folders"][name] for name in ("reference", "data"))
    target = result["target"]
    asked = olive_configs.search(reference, data, out, minutes=minutes, floor=OLIVE_FLOOR, target=target, seed=seed)
    made = olive_peer.run(asked, out, reference, most=60 * minutes + 1200)
    found = {**made, "folder": None, "points": None}
    if made["graph"] is None:
        return found
    folder = olive_compare.bundle(made["graph"], reference, out / "model")
    folders = {"olive": folder, "fp32": reference}
    answers = quality_on(folders, data / "validation.jsonl", threads=target["threads"])
    return {**found, "folder": folder, "points": compare_answers(answers, "olive", "fp32").difference.value}


def main(asked: dict[str, Any]) -> None:
    """Build and print where the result lies."""
    if asked["who"] == "random":
        rung_student.several = by_chance(asked["recipe"]["seed"])  # type: ignore[attr-defined]
        trainings.Trainings._parent = lambda self, student: None  # type: ignore[method-assign]
    result = lighten.build(asked["recipe"], asked["out"])
    print(json.dumps({"out": asked["out"], "verdict": result["verdict"]}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

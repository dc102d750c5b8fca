"""A build in progress without data or model: what the pieces of `lighten.search` need that only measure and decide."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lighten.pipeline import Clock, Journal, Workspace
from lighten.progress import Progress
from lighten.recipe import parse_recipe
from lighten.search.interrupt import Interrupt


class Notes(Progress):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def make_recipe(**sections: Any) -> Any:
    return parse_recipe(
        {
            "task": "text-classification",
            "data": {"train": "x.csv", "text": "t", "label": "l"},
            "model": "m",
            "target": {"threads": 1, "batch": 1, "tokens": 8},
            **sections,
        }
    )


def make_run(folder: Path, **sections: Any) -> Any:
    """Return a stand-in for `Run`: journal, clock and workspace are real; keywords are the recipe's sections."""
    recipe = make_recipe(**sections)
    return SimpleNamespace(
        recipe=recipe,
        out=folder,
        journal=Journal(folder / "journal.jsonl"),
        workspace=Workspace(folder / "work"),
        clock=Clock(60 * recipe.budget.build_minutes),
        progress=Notes(),
        scope="scope",
        by_clock=recipe.search.candidates is None,
        table=SimpleNamespace(
            key="table", path=folder / "table", metrics={"splits": {"test": {"by_label": {"fresh": 9, "rotten": 9}}}}
        ),
        interrupt=Interrupt(),
        unreachable=[],
        short_reference=False,
        no_students=False,
        stages={},
    )

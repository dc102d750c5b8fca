"""From what the command line or Python says to a recipe with a list of steps."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lighten.errors import InputError
from lighten.pipeline import Step, step_to_dict
from lighten.pipeline.shorthand import split_plan
from lighten.progress import Progress
from lighten.recipe import Recipe, parse_recipe, read_recipe
from lighten.recipe.task import CLASSIFICATION, LANGUAGE
from lighten.sources import resolve

PROMPT = 128
"""Tokens of a language model's prompt, unless the target says otherwise."""
Steps = str | Sequence[str | Mapping[str, Any] | Step]


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        model: source of a model, or a recipe: a YAML file, a mapping, a `Recipe`.
        steps: the plan; None where the recipe has it.
        data: source of the training rows.
        text, label: names of the columns; ``text`` and ``label`` where there is no recipe that says otherwise.
        minutes: wall-clock for everything.
        set: ``key.path=value`` overrides.
    """

    model: str | Path | Mapping[str, Any] | Recipe
    steps: Steps | None = None
    data: str | Path | None = None
    text: str | None = None
    label: str | None = None
    minutes: float | None = None
    set: tuple[str, ...] = ()

    @property
    def from_file(self) -> bool:
        """Whether `model` is a recipe file."""
        return isinstance(self.model, (str, Path)) and Path(self.model).suffix in (".yaml", ".yml")

    def recipe(self, progress: Progress | None = None) -> tuple[Recipe, Path | None]:
        """Return the checked recipe, and the folder that its sources are relative to.

        Without a recipe that says it, the task is found by looking at the model, which `progress` may show being
        fetched.

        Raises:
            InputError: steps or data are missing, or a value is out of range.
        """
        overrides = [*self._overrides(), *self.set]
        if self.from_file:
            return read_recipe(str(self.model), overrides), Path(str(self.model)).parent
        if isinstance(self.model, Recipe):
            return parse_recipe(self.model.model_dump(mode="json", exclude_unset=True), overrides), None
        if isinstance(self.model, Mapping):
            return parse_recipe(self.model, overrides), None
        if self.steps is None:
            raise InputError("name the steps, such as layers=3,vocabulary,int8", "--with")
        if self.data is None:
            raise InputError("name a file with texts and labels, such as reviews.csv", "--data")
        content = {"name": name_of(str(self.model)), "model": str(self.model), **self._task(progress)}
        return parse_recipe(content, overrides, where="options"), None

    def _task(self, progress: Progress | None) -> dict[str, Any]:
        """Return the task, as said or as the model is made, with what is usual for it."""
        said = [text.partition("=")[2].strip() for text in self.set if text.partition("=")[0].strip() == "task"]
        if said[-1] == LANGUAGE if said else _is_language_model(str(self.model), progress):
            return {"task": LANGUAGE, "data": {"text": "text"}, "target": {"tokens": PROMPT}}
        return {"task": CLASSIFICATION, "data": {"text": "text", "label": "label"}}

    def _overrides(self) -> Iterable[str]:
        if self.steps is not None:
            specs = split_plan(self.steps, "--with") if isinstance(self.steps, str) else self.steps
            said = [step_to_dict(spec) if isinstance(spec, Step) else spec for spec in specs]
            yield f"steps={json.dumps(said)}"
        columns = (("data.train", self.data), ("data.text", self.text), ("data.label", self.label))
        for key, value in columns:
            if value is not None:
                yield f"{key}={json.dumps(str(value))}"
        if self.minutes is not None:
            yield f"budget.build_minutes={self.minutes}"

    def command(self, folder: Path, named: bool, full: bool) -> str:
        """Return the command line that repeats the work; a recipe made in Python lies resolved in the run folder."""
        words = ["lighten", "compress"]
        if isinstance(self.model, (str, Path)) and isinstance(self.steps, (str, type(None))):
            words.append(str(self.model))
            options = (("--with", self.steps), ("--data", self.data), ("--text", self.text), ("--label", self.label))
            for option, value in (*options, ("--minutes", self.minutes)):
                words += [] if value is None else [option, str(value)]
            for text in self.set:
                words += ["--set", text]
        else:
            words.append(str(folder / "recipe.yaml"))
            named = True
        words += ["--full"] if full else []
        return shlex.join([*words, "--out", str(folder)] if named else words)


def _is_language_model(source: str, progress: Progress | None) -> bool:
    """Return whether a model is one by its look; what cannot be found is reported by whoever needs it."""
    from lighten.compose.open_language import is_language_model

    try:
        paths = resolve(source, progress=progress).paths
        return len(paths) == 1 and is_language_model(paths[0])
    except InputError:
        return False


def name_of(source: str) -> str:
    """Return a name for the run out of a model's source."""
    return f"{model_name(source)}-compressed"


def model_name(source: str) -> str:
    """Return the last part of a model's source that says something, as the name of a folder."""
    parts = [part for part in re.split(r"[/\\:]+", source) if part and part not in ("model", ".", "..")]
    word = re.sub(r"[^A-Za-z0-9._-]+", "-", parts[-1]).strip("-.") if parts else ""
    return word or "model"

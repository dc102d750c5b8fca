"""What Python code calls: `build`, `train` and `plan`, and the results they return."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lighten.progress import Progress

if TYPE_CHECKING:
    from lighten.recipe import Recipe

Candidate = dict[str, Any]


class Result(Mapping[str, Any]):
    """The outcome of a build: a read-only view of ``result.json``, with names for what is asked most.

    ``result["comparison"]["speedup_batch1"]`` works for everything the file holds.

    Args:
        folder: the run folder.
        content: the content of its ``result.json``.
    """

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self.folder, self._content = folder, content

    @classmethod
    def read(cls, folder: str | Path) -> Result:
        """Read the result of a finished run.

        Raises:
            InputError: the folder holds none.
        """
        from lighten.pipeline.result import read

        folder = Path(folder)
        return cls(folder, read(folder))

    @property
    def fits(self) -> bool:
        """Whether the chosen model keeps every limit."""
        return bool(self["verdict"] == "fits")

    @property
    def verdict(self) -> str:
        """``"fits"`` or ``"infeasible"``."""
        return str(self["verdict"])

    @property
    def binding_limit(self) -> str | None:
        """The limit that nothing could meet; None when the verdict is `fits`."""
        name: str | None = self["binding_limit"]
        return name

    @property
    def chosen(self) -> Candidate | None:
        """The chosen model, or the nearest miss; None where nothing could be measured."""
        found: Candidate | None = self["chosen"]
        return found

    @property
    def reference(self) -> Candidate | None:
        """The fine-tuned model that everything is compared with."""
        found: Candidate | None = self["reference"]
        return found

    @property
    def candidates(self) -> list[Candidate]:
        """Every model that was considered."""
        return list(self["candidates"])

    @property
    def model_folder(self) -> Path:
        """The folder to deploy; give it to `lighten.load`."""
        return self.folder / "model"

    @property
    def report(self) -> Path:
        """The page to read."""
        return self.folder / "report.html"

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``result.json``."""
        return dict(self._content)

    def __getitem__(self, key: str) -> Any:
        return self._content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def __repr__(self) -> str:
        return f"Result({str(self.folder)!r}: {self['sentence']})"


class TrainResult(Mapping[str, Any]):
    """The outcome of a training: a read-only view of its ``result.json``.

    Args:
        folder: the run folder.
        content: the content of its ``result.json``.
    """

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self.folder, self._content = folder, content

    @classmethod
    def read(cls, folder: str | Path) -> TrainResult:
        """Read the result of a finished training.

        Raises:
            InputError: the folder holds none.
        """
        from lighten.pipeline.training_result import read_training

        folder = Path(folder)
        return cls(folder, dict(read_training(folder)))

    @property
    def model_folder(self) -> Path:
        """The checkpoint: an ordinary folder of transformers."""
        return self.folder / "model"

    @property
    def report(self) -> Path:
        """The page to read."""
        return self.folder / "report.html"

    @property
    def quality(self) -> dict[str, Any]:
        """The metric on validation and on the sealed test, with intervals."""
        return dict(self["quality"])

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``result.json``."""
        return dict(self._content)

    def __getitem__(self, key: str) -> Any:
        return self._content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def __repr__(self) -> str:
        return f"TrainResult({str(self.folder)!r}: {self['sentence']})"


def train(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    out: str | Path | None = None,
    *,
    set: Iterable[str] = (),
    restart: bool = False,
    progress: Progress | None = None,
) -> TrainResult:
    """Train the model of a recipe and leave an ordinary checkpoint of transformers in ``out/model``.

    With ``budget.build_minutes`` in the recipe the training fills that time and ends in it; else it goes on for
    ``train.epochs`` (3). An interrupted training goes on where it was. In processes started by a launcher (torchrun,
    ``lighten train --processes N``) all of them call this and train together.

    Args:
        recipe: a YAML file, a mapping with the same keys, or a `Recipe`.
        out: the run folder; ``runs/<name of the recipe>`` when left out.
        set: ``key.path=value`` texts that override the recipe.
        restart: train anew, whatever the folder holds.
        progress: listener for progress; silent when left out.

    Raises:
        InputError: recipe, data or model are wrong.
        LightenError: the training cannot go on.
    """
    started = time.monotonic()  # the imports below take seconds, and they are the user's
    from lighten import report

    known, base, overrides = _known(recipe, set)
    folder = Path(out) if out is not None else Path("runs") / (known.name or "train")
    command = _command("train", recipe, folder, out is not None, overrides, 1)

    from lighten.tasks.run import train as work

    result = work(known, folder, base=base, progress=progress, restart=restart, command=command, started=started)
    if int(os.environ.get("RANK", "0")) == 0:  # of several processes one writes
        report.write_training(folder)
    return TrainResult(folder, result)


def plan(
    recipe: str | Path | Mapping[str, Any] | Recipe, *, set: Iterable[str] = (), progress: Progress | None = None
) -> dict[str, Any]:
    """Return the peak memory and the time that the training of a recipe will take, without training.

    Args:
        recipe: as for `train`.
        set: ``key.path=value`` texts that override the recipe.
        progress: listener for progress; silent when left out.

    Raises:
        InputError: recipe, data or model are wrong.
    """
    known, base, _ = _known(recipe, set)

    from lighten.tasks.plan import plan as work

    return work(known, base=base, progress=progress)


def _known(
    recipe: str | Path | Mapping[str, Any] | Recipe, overrides: Iterable[str]
) -> tuple[Recipe, Path | None, list[str]]:
    """Return the checked recipe, the folder its sources are relative to, and the overrides."""
    from lighten.recipe import Recipe, parse_recipe, read_recipe

    texts = list(overrides)
    if isinstance(recipe, (str, Path)):
        return read_recipe(recipe, texts), Path(recipe).parent, texts
    content = recipe.model_dump(mode="json", exclude_unset=True) if isinstance(recipe, Recipe) else recipe
    return parse_recipe(content, texts), None, texts


def build(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    out: str | Path | None = None,
    *,
    set: Iterable[str] = (),
    workers: int = 1,
    progress: Progress | None = None,
) -> Result:
    """Build the best model that fits a recipe's budget, with its proof and a folder to deploy.

    Finished work is kept in `out`: the same call after an interruption goes on where it was stopped, and
    after success it answers at once.

    Args:
        recipe: a YAML file, a mapping with the same keys, or a `Recipe`.
        out: the run folder; ``runs/<name of the recipe>`` when left out.
        set: ``key.path=value`` texts that override the recipe.
        workers: processes that may work at a time; today 1 is used.
        progress: listener for progress; silent when left out.

    Returns:
        The result; its verdict may be ``infeasible``, which is no error.

    Raises:
        InputError: recipe, data or model are wrong; nothing was built.
        LightenError: the build cannot go on.
    """
    from lighten import report
    from lighten.errors import InputError

    if workers < 1:
        raise InputError(f"workers must be at least 1; got {workers}")
    known, base, overrides = _known(recipe, set)
    folder = Path(out) if out is not None else Path("runs") / (known.name or "build")
    if folder.exists() and not folder.is_dir():
        raise InputError("the output must be a folder; this is a file", str(folder))
    command = _command("build", recipe, folder, out is not None, overrides, workers)

    from lighten.search import build as search

    result = search(known, folder, base=base, progress=progress or Progress(), workers=workers, command=command)
    report.write(folder)
    return Result(folder, result)


def _command(verb: str, recipe: object, folder: Path, named: bool, overrides: list[str], workers: int) -> str:
    """Return the command line that repeats the work; a recipe made in Python is found resolved in the run folder."""
    from_file = isinstance(recipe, (str, Path))
    words = ["lighten", verb, str(recipe) if from_file else str(folder / "recipe.yaml")]
    if named or not from_file:
        words += ["--out", str(folder)]
    if from_file:
        for text in overrides:
            words += ["--set", text]
    if workers != 1:
        words += ["--workers", str(workers)]
    return shlex.join(words)

"""What Python code calls: `build`, `compress`, `train`, `prepare`, `explain`, `extend`, `plan`; and their results."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lighten.outcomes import Compression, Prepared, Result, TrainResult
from lighten.progress import Progress

if TYPE_CHECKING:
    from lighten.recipe import Recipe


def prepare(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    out: str | Path | None = None,
    *,
    set: Iterable[str] = (),
    workers: int = 1,
    format: Literal["jsonl", "parquet", "csv"] = "jsonl",
    progress: Progress | None = None,
) -> Prepared:
    """Carry out the data section of a recipe and leave its splits in `out`, with a report of what every step did.

    The splits are those that `build` and `train` make of the recipe. Finished work is kept: the same call again
    answers at once, and after an interruption goes on where it was.

    Args:
        recipe: a YAML file, a mapping with the same keys, or a `Recipe`.
        out: the run folder; ``runs/<name of the recipe>`` when left out.
        set: ``key.path=value`` texts that override the recipe.
        workers: processes that work on rows; they change nothing in the outcome.
        format: of the splits.
        progress: listener for progress; silent when left out.

    Raises:
        InputError: recipe or data are wrong; nothing was written.
        LightenError: the work cannot go on.
    """
    from lighten.errors import InputError

    if workers < 1:
        raise InputError(f"workers must be at least 1; got {workers}")
    known, base, overrides = _known(recipe, set)
    folder = Path(out) if out is not None else Path("runs") / (known.name or "prepare")
    command = _command("prepare", recipe, folder, out is not None, overrides, workers)

    from lighten.data.crew import Crew

    with Crew() as crew:
        crew.hire_for(known.data, base, workers)  # first: they start while the rest is imported here
        from lighten.tasks.prepare import prepare as work

        report = work(known, folder, base, progress or Progress(), workers, format, command, crew)
    return Prepared(folder, report)


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
    recipe: str | Path | Mapping[str, Any] | Recipe,
    *,
    what: Literal["build", "train"] | None = None,
    set: Iterable[str] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return what a build or a training of a recipe will meet on this machine, without training.

    Of a build: whether its budget is reachable on cost, which limit binds, what it would take, and the time of its
    stages. Of a training: its peak memory and time.

    Args:
        recipe: as for `train`.
        what: which of the two; when left out, a classifier's recipe with limits or `search`, and without a section
            `train`, is planned as a build.
        set: ``key.path=value`` texts that override the recipe.
        progress: listener for progress; silent when left out.

    Returns:
        Its ``kind`` is ``build-plan`` or ``plan``.

    Raises:
        InputError: recipe, data or model are wrong.
    """
    known, base, _ = _known(recipe, set)
    if (what or _meant_for(known)) == "build":
        from lighten.search.plan.planning import plan as plan_build

        return plan_build(known, base=base, progress=progress)

    from lighten.tasks.plan import plan as work

    return work(known, base=base, progress=progress)


def _meant_for(recipe: Recipe) -> Literal["build", "train"]:
    """Return what a recipe is for: limits other than the clock, and all that narrows a search, are a build's alone."""
    from lighten.recipe import Budget, Search, Train

    if recipe.task != "text-classification" or recipe.train != Train():
        return "train"
    limits = recipe.budget.model_copy(update={"build_minutes": Budget().build_minutes}) != Budget()
    searches = recipe.search != Search() or recipe.steps != "auto" or bool(recipe.minimise or recipe.maximise)
    return "build" if limits or searches else "train"


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
    interruptible: bool = False,
) -> Result:
    """Build the best model that fits a recipe's budget, with its proof and a folder to deploy.

    Finished work is kept in `out`: the same call after an interruption goes on where it was stopped, and
    after success it answers at once.

    Args:
        recipe: a YAML file, a mapping with the same keys, or a `Recipe`.
        out: the run folder; ``runs/<name of the recipe>`` when left out.
        set: ``key.path=value`` texts that override the recipe.
        workers: students trained at the same time, each in a process of its own.
        progress: listener for progress; silent when left out.
        interruptible: whether Ctrl-C, once the reference was measured, ends exploring and goes on to the proof of the
            best model so far, as on the command line; a second one raises. Only in the main thread. When left out,
            Ctrl-C raises `KeyboardInterrupt` as everywhere in Python.

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

    result = search(
        known,
        folder,
        base=base,
        progress=progress or Progress(),
        workers=workers,
        command=command,
        interruptible=interruptible,
    )
    report.write(folder)
    return Result(folder, result)


def compress(
    model: str | Path | Mapping[str, Any] | Recipe,
    steps: str | Sequence[Any] | None = None,
    data: str | Path | None = None,
    *,
    text: str | None = None,
    label: str | None = None,
    out: str | Path | None = None,
    minutes: float | None = None,
    full: bool = False,
    dry_run: bool = True,
    set: Iterable[str] = (),
    progress: Progress | None = None,
) -> Compression:
    """Carry out steps on a model, measure it after each, and leave a folder to deploy with its proof.

    >>> lighten.compress("my-model", "layers=3,vocabulary,int8", "reviews.csv")  # doctest: +SKIP

    A model without a head for the labels of the data is fine-tuned first; the model before the first step is what
    all are compared with. Finished work is kept in `out`: the same call after an interruption goes on where it was
    stopped.

    Args:
        model: a transformers folder or its source; or a recipe with a list of steps: a YAML file, a mapping, a
            `Recipe`.
        steps: the plan in short, or a list of steps as a recipe has it.
        data: source of texts, with labels for a classifier; a sealed test is split off.
        text: column of the text; ``text`` when left out.
        label: column of the label; ``label`` when left out.
        out: the run folder; ``runs/<name>`` when left out.
        minutes: wall-clock for everything, shared by the steps that train; they go by their epochs when left out.
        full: train distilled students without a teacher too, and compare the two on the sealed test.
        dry_run: try the plan on a small copy of the model first.
        set: ``key.path=value`` texts that override the recipe.
        progress: listener for progress; silent when left out.

    Raises:
        InputError: plan, data or model are wrong; nothing was done.
        LightenError: a step failed; what was finished before it is kept.
    """
    from lighten import report
    from lighten.compose.request import Request

    asked = Request(model, steps, data, text, label, minutes, tuple(set))
    recipe, base = asked.recipe(progress)
    folder = Path(out) if out is not None else Path("runs") / (recipe.name or "compress")

    from lighten.compose.run import compress as work

    command = asked.command(folder, out is not None, full)
    result = work(recipe, folder, base=base, progress=progress, full=full, dry_run=dry_run, command=command)
    report.write_compression(folder)
    return Compression(folder, result)


def extend(
    model: str | Path,
    tokens: int = 4096,
    *,
    window: int | None = None,
    globals: int | None = None,
    layers: str | None = None,
    dilation: int | None = None,
    random_blocks: int | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Let a model take longer texts: positions tiled, attention within a window, a new folder of transformers.

    Nothing is trained; `train` or `compress` on the result adapt it.

    Args:
        model: a transformers folder or its source: a BERT, RoBERTa, XLM-R, CamemBERT, ELECTRA,
            DistilBERT, ModernBERT or Longformer.
        tokens: longest text, special tokens included.
        window: tokens that a token sees on each side; 128, or what the model has already.
        globals: tokens at the start that see all and are seen by all; 1, and none for ModernBERT.
        layers: ``L`` for local, ``G`` for full attention, repeated over the depth; all local, or what the model has.
        dilation: a window takes every so manieth token, and reaches as many times as far; 1, or what the model has.
        random_blocks: blocks of keys that each block of queries sees besides; none, or what the model has.
        out: the new folder; ``runs/<model>-<tokens>`` when left out.
        progress: told about downloads.

    Returns:
        ``model``, the folder, ``tokens``, ``before``, ``window``, ``globals``, ``layers`` of the whole depth,
        ``dilation`` and ``random_blocks`` where there are such, and of a Longformer how far its global projections
        were from those that replace them.

    Raises:
        InputError: the model cannot be extended so, or the folder holds something; nothing was written.
    """
    from lighten.compose.request import model_name
    from lighten.compress.extend import extend_folder
    from lighten.models.extension import Extension
    from lighten.sources import resolve

    found = resolve(str(model), progress=progress).paths
    folder = Path(out) if out is not None else Path("runs") / f"{model_name(str(model))}-{tokens}"
    facts = extend_folder(found[0], folder, Extension(tokens, window, globals, layers, dilation, random_blocks))
    return {"model": str(folder), **facts}


def explain(run: str | Path, *, examples: int = 5) -> dict[str, Any]:
    """Return why a build chose its model: what came close, what bound, what each step bought, which answers changed.

    Everything is read from the run folder; nothing is trained or predicted anew. Of a compression of a classifier,
    what its steps bought and which answers changed.

    Args:
        run: the folder of a finished build or compression.
        examples: texts to show of each class that was fixed, and that was broken, at most.

    Raises:
        InputError: no such result, or its predictions are missing or damaged.
    """
    from lighten.report import explain as work

    return work(run, examples)


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

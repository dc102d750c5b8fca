"""The build from recipe to verdict; read it from top to bottom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lighten.measure.machine import describe
from lighten.pipeline import digest, write_json
from lighten.pipeline.artifact import versions
from lighten.pipeline.files import checksum
from lighten.pipeline.lock import locked
from lighten.progress import Progress
from lighten.recipe import Recipe, check_buildable
from lighten.search.conclude import conclude
from lighten.search.deliver import deliver
from lighten.search.ladder import climb
from lighten.search.opening import identify, open_run
from lighten.search.proof import prove
from lighten.search.run import Run
from lighten.search.waterfall import steps_of
from lighten.workshop.finished import finished


def build(
    recipe: Recipe,
    out: Path,
    *,
    base: Path | None = None,
    progress: Progress | None = None,
    workers: int = 1,
    command: str = "",
) -> dict[str, Any]:
    """Build the best model that fits and prove it.

    Args:
        recipe: what to build.
        out: the run folder; a build that was interrupted there goes on.
        base: folder that relative sources are relative to.
        progress: where to report.
        workers: candidates trained at the same time; only 1 works so far.
        command: the command line, for the record.

    Returns:
        The content of result.json, which was also written.

    Raises:
        InputError: bad recipe, data or model; nothing is left behind.
        BuildError: training diverged.
    """
    progress = progress or Progress()
    check_buildable(recipe)
    with locked(out, "build"):
        identity = identify(recipe, base, progress)
        known = finished(out, identity[1])
        if known is not None:
            progress.note("nothing to do: this build is finished; answered from its journal")
            return known
        return _build(open_run(recipe, out, base, progress, identity), identity[1], command)


def _build(run: Run, scope: str, command: str) -> dict[str, Any]:
    write_json(run.out / "environment.json", {"machine": describe(), "versions": versions()})
    run.journal.write("started", scope=scope, spent=round(run.clock.spent, 1))
    _write_recipe(run)
    standing, reference, candidates = climb(run)
    proof = run.timed("proof", lambda: prove(run, reference.candidate, candidates))
    chosen = proof.chosen
    steps = run.timed("steps", lambda: steps_of(standing, reference, chosen))
    result = conclude(
        run,
        reference=reference.candidate,
        chosen=chosen,
        candidates=candidates,
        comparison=proof.comparison,
        steps=steps,
        validation=proof.validation,
        seconds=run.clock.spent,
        command=command,
    )
    deliver(run, chosen, result, proof.predictions)
    run.journal.write(
        "finished",
        scope=scope,
        verdict=result["verdict"],
        chosen=chosen.name,
        result=checksum(run.out / "result.json"),
        predictions=digest(proof.predictions),
        spent=round(run.clock.spent, 1),
    )
    run.clock.tick(force=True)
    return result


def _write_recipe(run: Run) -> None:
    import yaml

    from lighten.pipeline import write_text

    write_text(run.out / "recipe.yaml", yaml.safe_dump(run.recipe.model_dump(mode="json"), sort_keys=False))

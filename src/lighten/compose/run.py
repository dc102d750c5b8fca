"""The compression from recipe to result; read it from top to bottom."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from lighten.compose.allotment import Allotment
from lighten.compose.conclude import conclude, row_of
from lighten.compose.kind import Kind
from lighten.compose.opening import identify, open_kind, plan_for
from lighten.compose.plan import Plan, control_of
from lighten.compose.rehearsal import rehearse
from lighten.compose.stages import Stage, carry_out
from lighten.measure.machine import describe
from lighten.pipeline import write_json, write_text
from lighten.pipeline.artifact import versions
from lighten.pipeline.files import checksum
from lighten.pipeline.lock import locked
from lighten.progress import Progress
from lighten.recipe import Recipe
from lighten.workshop.finished import deliver_model, finished, refuse_other

CONTROL = "control"


def compress(
    recipe: Recipe,
    out: Path,
    *,
    base: Path | None = None,
    progress: Progress | None = None,
    full: bool = False,
    dry_run: bool = True,
    command: str = "",
) -> dict[str, Any]:
    """Carry out the steps of a recipe, measure after each, deliver the last model with its proof.

    Args:
        recipe: with a list of steps.
        out: the run folder; a compression that was interrupted there goes on.
        base: folder that relative sources are relative to.
        progress: where to report.
        full: train each distilled student without its teacher too, and compare the two on the sealed test.
        dry_run: try the plan on a small copy of the model first.
        command: the command line, for the record.

    Returns:
        The content of result.json, which was also written.

    Raises:
        InputError: bad recipe, data or model, found before any step; nothing is left behind.
        StepError: a step failed; what was finished before it is kept.
    """
    progress = progress or Progress()
    with locked(out, "compression"):
        refuse_other(out, "compression")
        identity = identify(recipe, base, progress, full)
        known = finished(out, identity.whole)
        if known is not None:
            progress.note("nothing to do: this compression is finished; answered from its journal")
            return known
        kind = open_kind(recipe, out, base, progress, identity)
        plan = plan_for(kind, identity.steps)
        if dry_run:
            _rehearse(kind, plan)
        control = control_of(plan) if full else None
        if full and control is None:
            progress.note("no control: the plan distils no student")
        return _compress(kind, plan, control, command)


def _rehearse(kind: Kind, plan: Plan) -> None:
    """Try the plan, once: a resumed compression has passed it."""
    work = kind.work

    def work_done() -> bool:
        work.timed("dry run", lambda: rehearse(kind, plan))
        return True

    work.journal.decide("dry run", work.scope, work_done)


def _compress(kind: Kind, plan: Plan, control: Plan | None, command: str) -> dict[str, Any]:
    import yaml

    work = kind.work
    write_json(work.out / "environment.json", {"machine": describe(), "versions": versions()})
    work.journal.write("started", scope=work.scope, spent=round(work.clock.spent, 1))
    write_text(work.out / "recipe.yaml", yaml.safe_dump(work.recipe.resolved(), sort_keys=False))
    allot = Allotment(work, plan, control)
    stages, rows = _stages(kind, plan, allot)
    beside = _control(kind, control, allot) if control is not None else None
    also = {} if beside is None else {CONTROL: beside.model.path}
    work.progress.note("now the sealed test is read")
    proof = work.timed("proof", lambda: kind.prove(stages[-1].model.path, stages[0].model.path, also))
    result = conclude(
        kind,
        plan,
        rows,
        proof,
        control=None if beside is None else {"stage": beside, **proof["also"][CONTROL]},
        folders={"chosen": stages[-1].model.path, "reference": stages[0].model.path, "data": work.table.path},
        command=command,
    )
    deliver_model(stages[-1].model.path, work.out)
    write_json(work.out / "predictions.json", {"labels": work.labels, **proof["predictions"]})
    write_json(work.out / "result.json", result)
    result_checksum = checksum(work.out / "result.json")
    work.journal.write("finished", scope=work.scope, result=result_checksum, spent=round(work.clock.spent, 1))
    work.clock.tick(force=True)
    return result


def _stages(kind: Kind, plan: Plan, allot: Allotment) -> tuple[list[Stage], list[dict[str, Any]]]:
    """Carry out the plan and measure: quality as each model is made, costs of all of them side by side at the end."""
    work, stages, qualities = kind.work, [], []
    going = iter(carry_out(kind, plan, allot))
    while (stage := work.timed("steps", lambda: next(going, None))) is not None:
        stages.append(stage)
        quality = work.timed("validation", partial(kind.judge, stage.model, stages[0].model))
        qualities.append(quality)
        work.journal.write("measured", scope=work.scope, stage=stage.name, quality=quality)
        work.progress.note(f"{stage.name}: {kind.told(quality)}")
        if stage.note is not None:
            work.progress.note(f"{stage.name}: {stage.note}")
    folders = {str(number): stage.model.path for number, stage in enumerate(stages)}
    costs = work.timed(
        "costs",
        lambda: work.journal.decide(f"costs of {sorted(folders)}", work.scope, lambda: kind.costs(folders)),
    )
    return stages, [row_of(s, q, costs[str(n)]) for n, (s, q) in enumerate(zip(stages, qualities, strict=True))]


def _control(kind: Kind, control: Plan, allot: Allotment) -> Stage:
    """Carry out the plan without distillation; what both have in common is found."""
    *_, last = kind.work.timed("control", lambda: list(carry_out(kind, control, allot, prefix="control: ")))
    return last  # type: ignore[no-any-return]

"""The build from recipe to verdict; read it from top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from lighten.measure.machine import describe
from lighten.pipeline import Journal, digest, write_json
from lighten.pipeline.artifact import versions
from lighten.pipeline.files import checksum
from lighten.pipeline.lock import locked
from lighten.progress import Progress
from lighten.recipe import Recipe, check_buildable
from lighten.search.candidate import Candidate
from lighten.search.decision.conclude import conclude, limits_of
from lighten.search.decision.deliver import deliver
from lighten.search.decision.proof import Proof, prove
from lighten.search.decision.waterfall import steps_of
from lighten.search.decision.weighing import weigh
from lighten.search.interrupt import REASON, Interrupt
from lighten.search.ladder import climb
from lighten.search.memory.known import conditions, content_of
from lighten.search.memory.retry import pending
from lighten.search.memory.steadiness import caution, hanging, paces, summary
from lighten.search.opening import clock_of, identify, open_run
from lighten.search.run import Run
from lighten.search.splits import words_of
from lighten.search.students.trainings import STARVED
from lighten.workshop.finished import finished, refuse_other
from lighten.workshop.limits import unchecked_classes

WORTH_A_RETRY = 60.0
"""Seconds of the budget that must be left for candidates that failed to be tried once more."""
SHORT = " Costs alone show that nothing fits, so the reference was trained for a short time: it could be better."
HARDLY_TRAINED = " The reference had {epochs:.2g} epochs in the time there was: trained longer it would be better."
UNCHECKED = " The floor under {labels} could not be checked: the test has no example of it."
NO_STUDENTS = " The clock left no time to train a smaller model."


def build(
    recipe: Recipe,
    out: Path,
    *,
    base: Path | None = None,
    progress: Progress | None = None,
    workers: int = 1,
    command: str = "",
    interruptible: bool = False,
) -> dict[str, Any]:
    """Build the best model that fits and prove it.

    Args:
        recipe: what to build.
        out: the run folder; a build that was interrupted there goes on.
        base: folder that relative sources are relative to.
        progress: where to report.
        workers: students trained at the same time, each in a process of its own, where the clock decides.
        command: the command line, for the record.
        interruptible: whether Ctrl-C ends exploring and goes on to the proof, see `interrupt.Interrupt`; else it
            raises `KeyboardInterrupt` wherever the build is.

    Returns:
        The content of result.json, which was also written.

    Raises:
        InputError: bad recipe, data or model; nothing is left behind.
        BuildError: training diverged.
        KeyboardInterrupt: the user ended it at once; the same call goes on.
    """
    progress = progress or Progress()
    check_buildable(recipe)
    interrupt = Interrupt(progress)
    with locked(out, "build"), interrupt.installed() if interruptible else nullcontext():
        refuse_other(out, "build")
        identity = identify(recipe, base, progress)
        known = finished(out, identity[1])
        why = None if known is None else _unfinished(out, recipe, identity, known)
        if known is not None and why is None:
            progress.note("nothing to do: this build is finished; answered from its journal")
            return known
        if why is not None:
            progress.note(f"{why}: the build goes on with the time left")
        run = open_run(recipe, out, base, progress, identity)
        run.interrupt, run.heed, run.workers = interrupt, interrupt.heed, workers
        return _build(run, identity[1], command)


def _build(run: Run, scope: str, command: str) -> dict[str, Any]:
    run.journal.write("started", scope=scope, spent=round(run.clock.spent, 1))
    if not (run.out / "result.json").is_file():  # else what lies there belongs to that result until this one is made
        _write_origin(run)
    standing, reference, candidates = climb(run)
    choice = _pace(reference.candidate)
    weighing = run.timed("proof", lambda: weigh(run, reference.candidate, candidates))
    proof = run.timed("proof", lambda: prove(run, reference.candidate, candidates))
    chosen = proof.chosen
    steps = run.timed("steps", lambda: _steps(run, chosen, lambda: steps_of(standing, reference, chosen)))
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
        weighing=weighing,
    )
    result |= circumstances(run, proof)
    changes = paces(run, choice, _pace(reference.candidate))
    undecided = hanging(limits_of(run, chosen.metrics, run.clock.spent), changes)
    result["steadiness"]["undecided"] = undecided
    result["sentence"] += caution(undecided)
    result["sentence"] += shortcomings(run, float(reference.checkpoint.metrics.get("epochs", STARVED)))
    _write_origin(run)
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


def _unfinished(out: Path, recipe: Recipe, identity: tuple[str, str, Path, str], result: dict[str, Any]) -> str | None:
    """Say why a build that has its result goes on all the same; None where it is done."""
    if result.get("stopped_early"):
        return "this build was stopped early"
    clock = clock_of(recipe, out, identity[1])
    if recipe.search.candidates is None and clock.left < WORTH_A_RETRY:
        return None
    if result.get("steadiness", {}).get("undecided"):
        return "the verdict hangs on a session in which the machine changed its pace"
    failed = pending(Journal(out / "journal.jsonl"), identity[0])
    return f"{', '.join(failed)} failed and may be tried once more" if failed else None


def circumstances(run: Run, proof: Proof) -> dict[str, Any]:
    """Return what result.json says of how the build went, besides its outcome."""
    return {
        "stopped_early": run.interrupt.cut_short,
        "stopped_reason": REASON if run.interrupt.cut_short else None,
        "unreachable": run.unreachable,
        "short_reference": run.short_reference,
        "no_students": run.no_students,
        "test_reads": proof.test_reads,
        "steadiness": summary(run),
    }


def shortcomings(run: Run, epochs: float) -> str:
    """Return sentences on what the clock, or a budget out of reach, did not let the build do.

    Args:
        run: the build.
        epochs: that the reference was trained for.
    """
    said = ""
    if run.short_reference:
        said += SHORT
    elif run.by_clock and epochs < STARVED:
        said += HARDLY_TRAINED.format(epochs=epochs)
    if run.no_students:
        said += NO_STUDENTS
    said += words_of(run.table.metrics)
    if bare := unchecked_classes(run.recipe.budget, run.table.metrics["splits"]["test"]["by_label"]):
        said += UNCHECKED.format(labels=", ".join(map(repr, bare)))
    return said


def _pace(reference: Candidate) -> float:
    """Return the reference's median, in milliseconds, in the session that its metrics are of."""
    return float(reference.metrics["latency_ms"]["p50"])


def _steps(run: Run, chosen: Candidate, measure: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return what each step of the chosen plan bought, measured once for the same model on the same machine.

    Where the time to build is over that is left out: it proves nothing, and what takes too long does not fit.
    """
    assert chosen.folder is not None
    decision = f"steps of {content_of(chosen.folder)} under {conditions(run)}"
    if run.by_clock and run.clock.left <= 0 and run.journal.last("decision", name=decision, scope=run.scope) is None:
        run.progress.note("the time is up: what each step bought is not measured")
        return []
    return run.journal.decide(decision, run.scope, measure)  # type: ignore[no-any-return]


def _write_origin(run: Run) -> None:
    """Write what the result is made from and where: recipe and environment."""
    import yaml

    from lighten.pipeline import write_text

    write_json(run.out / "environment.json", {"machine": describe(), "versions": versions()})
    write_text(run.out / "recipe.yaml", yaml.safe_dump(run.recipe.model_dump(mode="json"), sort_keys=False))

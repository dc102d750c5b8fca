"""The ladder, cheapest rung first: linear, shapes costed, reference, frozen encoder, students while time is left."""

from __future__ import annotations

from typing import Any

from lighten.compress.step import ModelStep
from lighten.compress.steps import Distil, Intermediate, Layers
from lighten.errors import InputError
from lighten.models.pieces import can_trim
from lighten.pipeline import step_from_spec
from lighten.pipeline.examples import read_examples
from lighten.search.candidate import Candidate
from lighten.search.costs import REFERENCE, measure_costs
from lighten.search.long_texts import choose_long
from lighten.search.outline import outline
from lighten.search.run import Run
from lighten.search.rung_frozen import climb_frozen
from lighten.search.rung_linear import fit_linear, linear_suffices, measure_linear
from lighten.search.rung_plan import carry_out
from lighten.search.rung_reference import train_reference
from lighten.search.rung_student import climb_students
from lighten.search.space import enumerate_points
from lighten.search.standing import Reference, Standing
from lighten.search.students import trimmed_tokenizer
from lighten.search.timing import forecast, tell

RUNGS = ("linear", "frozen", "student")


def climb(run: Run) -> tuple[Standing, Reference, list[Candidate]]:
    """Make and measure candidates until the time or the promising ones run out.

    Returns:
        The standing, the reference, and every candidate considered but the reference; costs of those that were
        built come from one interleaved session.
    """
    plan = given_plan(run)
    run.long_texts = choose_long(run)
    rungs: list[str] = list(run.recipe.search.rungs or RUNGS)
    standing = cost_shapes(run, rungs if not plan else [])
    run.progress.note(outline(standing, rungs if not plan else []))
    linear = fit_linear(run) if "linear" in rungs and not plan else None
    reference = train_reference(standing)
    if linear is not None:
        measure_linear(standing, reference, linear)
    if plan:
        carry_out(standing, reference, plan)
    elif not linear_suffices(standing):
        if "frozen" in rungs:
            climb_frozen(standing, reference)
        if "student" in rungs:
            climb_students(standing, reference)
    standing.time_all(reference)
    untried = [standing.costed(name) for name in standing.points if name not in standing.measured]
    return standing, reference, [*standing.measured.values(), *untried]


def given_plan(run: Run) -> list[ModelStep]:
    """Return the recipe's own list of steps, empty for ``auto``.

    Raises:
        InputError: an unknown step or field, or a step the model cannot take.
    """
    if run.recipe.steps == "auto":
        return []
    steps = [step_from_spec("model", spec, f"steps[{i}]") for i, spec in enumerate(run.recipe.steps)]
    for i, step in enumerate(steps):
        # Found here and not after the reference was trained for minutes.
        for kind, most, field in ((Layers, run.full.layers, "count"), (Intermediate, run.full.intermediate, "width")):
            if isinstance(step, kind) and (value := getattr(step, field) or 0) > most:
                raise InputError(f"{field} must be at most {most}, as the model has, but got {value}", f"steps[{i}]")
    return [step for step in steps if isinstance(step, ModelStep)]


def cost_shapes(run: Run, rungs: list[str]) -> Standing:
    """Measure every shape of the space with random weights, beside the reference's."""
    wanted = any(rung in rungs for rung in ("frozen", "student"))
    points = enumerate_points(run.full, run.recipe.search, can_trim(run.model)) if wanted else []
    tokenizers = {v: trimmed_tokenizer(run, v) for v in {point.student.vocabulary for point in points}}

    def work() -> dict[str, Any]:
        paths = {vocabulary: folder for vocabulary, (folder, _) in tokenizers.items()}
        pieces = {vocabulary: size for vocabulary, (_, size) in tokenizers.items()}
        return measure_costs(run, points, paths, pieces)

    budget, target = run.recipe.budget, run.recipe.target.model_dump()
    decision = f"costs of {len(points)} shapes at {target}, {budget.size_mb} MB, {budget.peak_memory_mb} MB memory"
    costs = run.timed("costs", lambda: run.journal.decide(decision, run.scope, work))
    test_rows = len(read_examples(run.table.path / "test.jsonl"))
    expected = forecast(run, 1000 * target["batch"] / costs[REFERENCE]["latency_ms"]["p50"], test_rows)
    distil = Distil() if run.by_clock else Distil(epochs=run.recipe.search.epochs or 3.0)
    standing = Standing(run, distil, {point.name(run.full): point for point in points}, costs, expected)
    fitting = sum(standing.missed(name) is None for name in standing.points)
    tell(run, "costs", expected, f"{len(points)} shapes costed, {fitting} within the limits on cost")
    return standing

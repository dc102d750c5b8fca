"""The reference: the given model fine-tuned at full size, exported in fp32; everything is compared with it."""

from __future__ import annotations

from lighten.compress.steps import Finetune
from lighten.pipeline import digest, step_to_dict
from lighten.search.candidate import Candidate
from lighten.search.cost.shapes import REFERENCE
from lighten.search.decision.reach import NEAREST_MISS
from lighten.search.memory.allotted import allotted, done, is_done
from lighten.search.standing import Reference, Standing
from lighten.search.students.making import judge
from lighten.search.timing import reference_seconds, tell
from lighten.workshop.answers import validate

SECONDS = "reference seconds"


def train_reference(standing: Standing) -> Reference:
    """Fine-tune, export and measure the reference."""
    run = standing.run
    step = Finetune() if run.by_clock else Finetune(epochs=run.recipe.search.reference_epochs or 2.0)
    seconds = None
    if run.by_clock:
        seconds = _seconds(standing)
        tell(run, REFERENCE, standing.expected, f"the reference trains for at most {seconds:.0f} s")
    checkpoint = run.timed(REFERENCE, lambda: run.apply(step, run.model, name=REFERENCE, seconds=seconds))
    if run.by_clock:
        done(run, SECONDS, seconds)
    plan = [step_to_dict(step)]
    model = run.timed("export", lambda: run.bundle(checkpoint, plan))
    answers = run.timed("validation", lambda: validate(run, model))
    candidate = Candidate(REFERENCE, REFERENCE, plan, folder=model.path, order=100)
    candidate.metrics = dict(standing.costs[REFERENCE])
    judge(run, candidate, answers, answers)
    standing.validated[REFERENCE] = candidate.metrics["quality"]["value"]
    standing.expected.speed = float(checkpoint.metrics["tokens_per_second"])
    facts = f"{standing.validated[REFERENCE]:.1f}% on validation, {checkpoint.metrics['epochs']:.1f} epochs"
    tell(run, "students", standing.expected, f"reference: {facts}, in {checkpoint.metrics['precision']}")
    return Reference(checkpoint, answers, candidate)


def _seconds(standing: Standing) -> float:
    """Return how long the reference trains: once it is there, it is the reference of every budget.

    Where costs alone prove that nothing fits, a reference that is not there yet is trained for a short time only, and
    is no other budget's reference.
    """
    run = standing.run

    def full() -> float:
        return reference_seconds(run, standing.expected)

    if not run.unreachable or is_done(run, SECONDS):
        return float(allotted(run, SECONDS, full))
    run.short_reference = True
    # Nor are its students: this budget too may find a whole reference later, and what was decided here is none of it.
    run.scope, run.budget_scope = (digest([scope, "nothing fits"]) for scope in (run.scope, run.budget_scope))
    return float(allotted(run, SECONDS, lambda: min(NEAREST_MISS, full())))

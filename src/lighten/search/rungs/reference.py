"""The reference: the given model fine-tuned at full size, exported in fp32; everything is compared with it."""

from __future__ import annotations

from lighten.compress.steps import Finetune
from lighten.pipeline import step_to_dict
from lighten.search.candidate import Candidate
from lighten.search.costs import REFERENCE
from lighten.search.standing import Reference, Standing
from lighten.search.students import judge
from lighten.search.timing import reference_seconds, tell
from lighten.workshop.answers import validate


def train_reference(standing: Standing) -> Reference:
    """Fine-tune, export and measure the reference."""
    run = standing.run
    step = Finetune() if run.by_clock else Finetune(epochs=run.recipe.search.reference_epochs or 2.0)
    seconds = None
    if run.by_clock:
        # Decided once for data, model and seed: another budget reuses the same reference.
        seconds = run.journal.decide("reference seconds", run.scope, lambda: reference_seconds(run, standing.expected))
        tell(run, REFERENCE, standing.expected, f"the reference trains for at most {seconds:.0f} s")
    checkpoint = run.timed(REFERENCE, lambda: run.apply(step, run.model, name=REFERENCE, seconds=seconds))
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

"""Several trainings under one clock, and the average of their weights.

Fine-tunings of one pre-trained model that differ in the order of the data lie in one basin of the loss: the average of
their weights answers like the ensemble of them all, at the cost of one (model soups, Wortsman et al. 2022). Where
further epochs would only overfit, it is what more time is good for.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from lighten.pipeline import read_json, write_json
from lighten.pipeline.files import new_folder
from lighten.tasks.outcome import finite, saving
from lighten.train.loop import Training
from lighten.train.metrics import Sink
from lighten.train.settings import Look, Report

WEIGHTS, NOTES = "weights.safetensors", "report.json"
LEAST_EPOCHS = 1.4
"""Of a member, where the clock decides how many there are: one that has seen less pulls the average down."""
MOST = 8

State = dict[str, torch.Tensor]


def members_in(seconds: float | None, seconds_per_epoch: float) -> int:
    """Return how many trainings of at least `LEAST_EPOCHS` a clock has room for; one without a clock."""
    if seconds is None or seconds_per_epoch <= 0:
        return 1
    return max(1, min(MOST, int(seconds / (LEAST_EPOCHS * seconds_per_epoch))))


def seed_of(seed: int, member: int) -> int:
    """Return the seed of a member; the first has that of a training alone."""
    return seed + 1_000_003 * member


@dataclass(frozen=True)
class Member:
    """A finished training: where its weights are, its report, and what validation says about the weights."""

    folder: Path
    report: Report
    look: Look

    @property
    def weights(self) -> Path:
        """The file with the weights."""
        return self.folder / WEIGHTS


class Soup:
    """Trains members one after the other; a finished one is kept on disk and not trained again.

    Args:
        folder: for the members' weights and reports.
        fingerprint: what the trainings depend on; members of another one are forgotten.
        count: members to train.
    """

    def __init__(self, folder: Path, fingerprint: str, count: int) -> None:
        self.folder, self.fingerprint, self.count = folder, fingerprint, count

    def done(self) -> list[Member]:
        """Return the finished members, in order."""
        found: list[Member] = []
        for number in range(self.count):
            file = self.folder / str(number) / NOTES
            if not file.is_file():
                break
            notes = read_json(file)
            if notes["fingerprint"] != self.fingerprint:
                break
            found.append(Member(file.parent, Report(**notes["report"]), Look(**notes["look"])))
        return found

    def keep(self, number: int, training: Training, report: Report, look: Look) -> Member:
        """Write a finished member down.

        Raises:
            BuildError: it cannot be written; its checkpoints are still there.
        """
        with saving("weights of a finished training"), new_folder(self.folder / str(number)) as target:
            weights = {
                name: value.detach().contiguous().clone() for name, value in training.model.state_dict().items()
            }
            save_file(weights, target / WEIGHTS)
            notes = {"fingerprint": self.fingerprint, "report": vars(report), "look": vars(look)}
            write_json(target / NOTES, finite(notes))
        return Member(self.folder / str(number), report, look)

    def forget(self) -> None:
        """Remove all members."""
        shutil.rmtree(self.folder, ignore_errors=True)


def stir(
    members: Sequence[Member], judge: Callable[[State], Look], room: Callable[[], bool] = lambda: True
) -> tuple[State, Look, list[int]]:
    """Return the weights to keep: the average of all members, or of those that help.

    The average of all is taken where it is no worse on validation than the best member. Else members are added from
    the best on, and each is kept where the average does not get worse (the greedy soup).

    Args:
        members: at least one.
        judge: looks at the validation split with some weights.
        room: whether there is time to try another member; where not, what is kept by then is taken.

    Returns:
        Weights, their look, and the numbers of the members in them. They are what `judge` looked at last.
    """
    order = sorted(range(len(members)), key=lambda number: _loss(members[number].look))
    best = members[order[0]].look
    everyone = list(range(len(members)))
    average = mean([member.weights for member in members])
    look = judge(average)
    if len(members) == 1 or _loss(look) <= _loss(best):
        return average, look, everyone
    kept, seen = [order[0]], everyone
    for number in order[1:]:
        # All of them together were looked at above, and are worse than the best.
        if len(kept) + 1 == len(members) or not room():
            break
        seen = [*kept, number]
        average = mean([members[n].weights for n in seen])
        look = judge(average)
        if _loss(look) <= _loss(best):
            kept, best = seen, look
    if seen != kept:
        average = mean([members[number].weights for number in kept])
        look = judge(average)
    return average, look, sorted(kept)


def copied(state: State) -> State:
    """Return the tensors as they are now, each in memory of its own."""
    return {name: value.detach().contiguous().clone() for name, value in state.items()}


def mean(files: Sequence[Path]) -> State:
    """Return the mean of each tensor over files of weights; whole numbers (position ids) are the first one's.

    Tensor by tensor: eight models need not be in memory at once.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(safe_open(file, framework="pt")) for file in files]
        found: State = {}
        for name in opened[0].keys():  # noqa: SIM118 (safe_open is no mapping)
            first = opened[0].get_tensor(name)
            if first.is_floating_point():
                total = first.double()
                for other in opened[1:]:
                    total += other.get_tensor(name)
                found[name] = (total / len(opened)).to(first.dtype)
            else:
                found[name] = first
    return found


def joined(members: Sequence[Member], look: Look, averaged: Sequence[int], looked: float = 0.0) -> Report:
    """Return the report of all members as of one training: steps and seconds go on from one to the next.

    Args:
        members: as trained.
        look: at the averaged weights, the last one there was.
        averaged: numbers of the members in them.
        looked: seconds of looks at averages.
    """
    history: list[dict[str, Any]] = []
    steps, seconds = 0, 0.0
    for member in members:
        report = member.report
        for row in report.history:
            history.append({**row, "step": row["step"] + steps, "seconds": round(row["seconds"] + seconds, 2)})
        steps, seconds = steps + report.steps, seconds + report.seconds
    reports = [member.report for member in members]
    tokens = sum(report.tokens_per_second * report.seconds for report in reports)
    return replace(
        reports[-1],
        seconds=round(seconds + looked, 2),
        steps=steps,
        epochs=round(sum(report.epochs for report in reports), 3),
        tokens_per_second=round(tokens / max(seconds, 1e-9), 1),
        best=look.score,
        best_step=steps,
        history=[*history, {**history[-1], "loss": None, "validation": round(look.score, 3)}],
        seconds_of_looks=round(sum(report.seconds_of_looks for report in reports) + looked, 2),
        checkpoint_seconds=round(sum(report.checkpoint_seconds for report in reports), 2),
        restored=False,
        notes=[note for report in reports for note in report.notes],
        soup={
            "members": len(members),
            "averaged": list(averaged),
            "validation": [round(member.look.score, 3) for member in members],
        },
    )


class Shifted:
    """Passes records of a member on as of one long training.

    Args:
        sink: takes them.
        steps: done by the members before.
        seconds: that they took.
        epochs: that they did.
    """

    def __init__(self, sink: Sink, steps: int, seconds: float, epochs: float) -> None:
        self.sink, self.steps, self.seconds, self.epochs = sink, steps, seconds, epochs

    def write(self, record: dict[str, Any]) -> None:
        """Write a record with its numbers shifted."""
        shifted = {"step": self.steps, "seconds": self.seconds, "epoch": self.epochs}
        self.sink.write({**record, **{key: round(record[key] + by, 4) for key, by in shifted.items()}})

    def resume(self, step: int) -> None:
        """Forget the records after a step of this member."""
        self.sink.resume(self.steps + step)

    def close(self) -> None:
        """Nothing: the sink is closed by who made it."""


def _loss(look: Look) -> float:
    return -look.score if look.loss is None else look.loss

"""The proof: a model beside the reference, every number from fresh processes.

The search measures costs before anything is trained and quality on validation data; `gather` reads the sealed
test once, at the end. Quality is measured with the target's batch: an int8 graph scales its activations per
call, so large batches would measure another model than the one that serves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lighten.measure.cascade import with_shares
from lighten.measure.cost import Folders, Share, Target, once_per_folder
from lighten.measure.instruments import Instruments, Timed
from lighten.measure.latency import ratio_interval
from lighten.measure.per_class import class_recalls
from lighten.measure.quality import Answers, Comparison, compare
from lighten.measure.size import size_mb
from lighten.measure.statistics import Interval
from lighten.progress import Progress, Stage


def compare_answers(
    answers: Answers, name: str, reference: str, metric: str = "accuracy", seed: int = 0
) -> Comparison:
    """Compare the answers of two models; see `quality.compare`."""
    first, second = answers.predicted(reference), answers.predicted(name)
    return compare(answers.truth, first, second, len(answers.labels), metric, seed, groups=answers.groups)


def quality_of(
    answers: Answers,
    name: str,
    reference: str,
    *,
    split: str,
    metric: str = "accuracy",
    seed: int = 0,
    per_class: bool = False,
) -> dict[str, Any]:
    """Return the ``quality`` object of ``result.json``: a model's metric and its difference to the reference.

    With `per_class` the recall of each class too, see `per_class.class_recalls`.
    """
    compared = compare_answers(answers, name, reference, metric, seed)
    said = (answers.predicted(reference), answers.predicted(name))
    return {
        "metric": metric,
        "value": round(compared.candidate.value, 4),
        "ci95": _ends(compared.candidate),
        "delta": round(compared.difference.value, 4),
        "delta_ci95": _ends(compared.difference),
        "split": split,
        "n": len(answers.truth),
        **({"per_class": class_recalls(answers.truth, *said, answers.labels)} if per_class else {}),
    }


def gather(
    *,
    chosen: Path,
    reference: Path,
    test: Path,
    target: Target,
    seed: int = 0,
    metric: str = "accuracy",
    seconds: float = 10.0,
    progress: Progress | None = None,
    also: Folders | None = None,
    per_class: bool = False,
    instruments: Instruments | None = None,
) -> dict[str, Any]:
    """Measure the chosen model and the reference once more, and the quality on the sealed test.

    Args:
        chosen: the model folder to deliver; may be the reference itself.
        reference: the reference's model folder.
        test: JSON lines of text and label.
        target: ``threads``, ``batch`` and ``tokens``.
        seed: of all resampling and random inputs.
        metric: a name in `quality.METRICS`.
        seconds: for all timings together.
        progress: where to report.
        also: further models by name, which answer the test in the same pass and are not timed.
        per_class: whether the recall of each class is wanted too.
        instruments: to measure with; everything is measured anew when left out.

    Returns:
        ``chosen`` and ``reference`` (the ``metrics`` of a candidate in ``result.json``), ``comparison`` (speed-ups at
        batch 1 and 32, size ratio, points lost) and ``predictions`` (the index of the label for each test text);
        and ``also``: by name, ``quality`` beside the reference and ``difference``, the chosen model's metric minus
        that one's, with its paired interval.
    """
    folders = {"chosen": Path(chosen), "reference": Path(reference)}
    tools = instruments or Instruments()
    with (progress or Progress()).stage("evidence", total=1.0) as stage:
        everyone = {**folders, **(also or {})}
        answers = tools.answer(everyone, test, target, _part(stage, 0.0, 0.5, "quality on the sealed test"))
        timed = tools.time(folders, target, seed, seconds, _part(stage, 0.5, 0.8, "latency and throughput"))
        timed = {batch: with_shares(found, answers.passed_on, seed) for batch, found in timed.items()}
        stage.update(0.8, doing="peak memory")
        weighed = once_per_folder(folders, lambda folder: tools.weigh(folder, target))
        stage.update(0.9, doing="cold start")
        started = once_per_folder(folders, tools.start)
        stage.update(1.0)
    metrics = {
        name: {
            "quality": quality_of(
                answers, name, "reference", split="test", metric=metric, seed=seed, per_class=per_class
            ),
            "latency_ms": timed["target"][name].to_dict(),
            "throughput_per_s": round(timed["large"][name].per_second, 2),
            "size_mb": round(size_mb(folder), 4),
            "peak_memory_mb": round(weighed[name], 2),
            "cold_start_ms": round(started[name], 1),
        }
        for name, folder in folders.items()
    }
    return {
        **metrics,
        "comparison": _comparison(folders, answers, timed, metric, seed),
        "predictions": {name: answers.predicted(name).tolist() for name in [*folders, *(also or {})]},
        "also": {name: _beside(answers, name, metric, seed) for name in also or {}},
    }


def _beside(answers: Answers, name: str, metric: str, seed: int) -> dict[str, Any]:
    """Return a further model's quality, and by how much the chosen one is better."""
    difference = compare_answers(answers, "chosen", name, metric, seed).difference
    return {
        "quality": quality_of(answers, name, "reference", split="test", metric=metric, seed=seed),
        "difference": {"value": round(difference.value, 4), "ci95": _ends(difference)},
    }


def _comparison(folders: Folders, answers: Answers, timed: Timed, metric: str, seed: int) -> dict[str, Any]:
    one = ratio_interval(timed["one"], "reference", "chosen", seed)
    large = ratio_interval(timed["large"], "reference", "chosen", seed)
    difference = compare_answers(answers, "chosen", "reference", metric, seed).difference
    return {
        "speedup_batch1": round(one.value, 4),
        "speedup_batch1_ci95": _ends(one),
        "speedup_batch32": round(large.value, 4),
        "speedup_batch32_ci95": _ends(large),
        "size_ratio": round(size_mb(folders["reference"]) / size_mb(folders["chosen"]), 4),
        "points_lost": round(0.0 - difference.value, 4),
        "points_lost_ci95": [round(0.0 - difference.high, 4), round(0.0 - difference.low, 4)],
    }


def _part(stage: Stage, start: float, end: float, doing: str) -> Share:
    """Return a listener that fills the stage from `start` to `end`."""
    stage.update(start, doing=doing)
    return lambda share: stage.update(start + (end - start) * share)


def _ends(interval: Interval) -> list[float]:
    return [round(interval.low, 4), round(interval.high, 4)]

"""The instruments of a proof that remember: a model folder measured before is not measured again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lighten.measure.cascade import Mixed, mix
from lighten.measure.cost import Folders, Share, Target, costs, time_in_fresh_process, timing_run
from lighten.measure.examples import read_groups
from lighten.measure.instruments import Instruments, Timed, batches_of
from lighten.measure.latency import Latency, summarise
from lighten.measure.quality import Answers
from lighten.pipeline.files import checksum
from lighten.search.memory.known import conditions, content_of, known_of, memory_of, sealed_test
from lighten.search.memory.steadiness import PROOF, drifted, steady
from lighten.search.run import Run

CHECK_SECONDS = 1.0
CHECK_CALLS = 20
READ = "test_read"
"""The journal's event of a model answering the sealed test."""


class Remembered(Instruments):
    """Answers from the run folder where it can; what it timed before is compared with a short session first.

    Args:
        run: the build.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.known, self.conditions = run, known_of(run), conditions(run)
        self._as_before: dict[tuple[str, ...], bool] = {}

    def answer(self, folders: Folders, examples: Path, target: Target, progress: Share) -> Answers:
        """Return what models say to the test, asking only those that were never asked; each reading is journaled."""
        test = checksum(examples)
        contents = {name: content_of(Path(folder)) for name, folder in folders.items()}
        keys = {content: [content, test, self.conditions] for content in contents.values()}
        kept = {content: self.known.get("answers", key) for content, key in keys.items()}
        new = {name: folder for name, folder in folders.items() if kept[contents[name]] is None}
        if new:
            for content in sorted({contents[name] for name in new}):
                self.run.journal.write(READ, test=sealed_test(self.run.table), content=content)
            asked = super().answer(new, examples, target, progress)
            for name in new:
                kept[contents[name]] = _written(asked, name)
                self.known.keep("answers", keys[contents[name]], kept[contents[name]])
        answers = [_read(kept[contents[name]], name, examples) for name in folders]
        merged = answers[0]
        for more in answers[1:]:
            merged = merged.merge(more)
        return merged

    def time(self, folders: Folders, target: Target, seed: int, seconds: float, progress: Share) -> Timed:
        """Return the timings of these models side by side; earlier ones where a short session agrees with them."""
        key = [self._pair(folders), self.conditions, seed]
        kept = self.known.get("timings", key)
        if kept is not None and self._agrees(folders, {name: kept["p50"][name] for name in folders}):
            return _timed(kept, target, seed)
        measure = super().time
        found = steady(
            self.run,
            PROOF,
            lambda: measure(folders, target, seed, seconds, progress),
            lambda timed: timed["target"]["reference"].p50,
        )
        samples = {key: {name: _samples(one) for name, one in timed.items()} for key, timed in found.items()}
        p50 = {name: latency.p50 for name, latency in found["target"].items()}
        threads = {name: latency.threads for name, latency in found["target"].items()}
        self.known.keep("timings", key, {"samples": samples, "p50": p50, "threads": threads})
        return found

    def weigh(self, folder: Path, target: Target) -> float:
        """Return the peak memory, measured once per content."""
        return memory_of(self.run, folder)

    def start(self, folder: Path) -> float:
        """Return the cold start, measured once per content."""
        key = [content_of(folder), self.conditions]
        measure = super().start
        return float(self.known.once("cold-start", key, lambda: measure(folder)))

    def second_look(self, folder: Path, reference: Path) -> dict[str, Any]:
        """Return a candidate's costs measured once more, the reference beside it; see `measure.cost.costs`."""
        folders = {"it": folder, "reference": reference}
        key = ["second look", self._pair(folders), self.conditions]
        kept = self.known.get("costs", key)
        if kept is not None and self._agrees(folders, {name: kept[name]["latency_ms"]["p50"] for name in folders}):
            return dict(kept["it"])
        run = self.run
        target, seed = run.recipe.target.model_dump(), run.recipe.seed + 1
        found = steady(
            run,
            "second look",
            lambda: costs(folders, target, seed=seed, seconds=2.0, weigh=lambda one: memory_of(run, one)),
            lambda metrics: float(metrics["reference"]["latency_ms"]["p50"]),
        )
        self.known.keep("costs", key, found)
        return dict(found["it"])

    def reads(self, reference: Path) -> int:
        """Return how many models beside the reference have answered this test so far, for any budget.

        The test is known by its texts: other settings of the search make another table of the same.
        """
        events = self.run.journal.all(READ, test=sealed_test(self.run.table))
        return len({event["content"] for event in events} - {content_of(reference)})

    def _pair(self, folders: Folders) -> list[str]:
        """Return the contents, the reference's last."""
        return [content_of(Path(folders[name])) for name in sorted(folders, key=lambda name: name == "reference")]

    def _agrees(self, folders: Folders, before: dict[str, float]) -> bool:
        """Whether a short session side by side finds the medians of before; asked once per build and pair."""
        pair = tuple(self._pair(folders))
        if pair not in self._as_before:
            target = self.run.recipe.target
            check = timing_run(target.batch, target.tokens, CHECK_CALLS, CHECK_SECONDS)
            now = time_in_fresh_process(folders, target.threads, [check], self.run.recipe.seed)[0]
            same = not any(drifted(before[name], now[name].p50) for name in folders)
            if not same:
                self.run.progress.note("the machine is not as fast as when this was measured: it is measured again")
            self._as_before[pair] = same
        return self._as_before[pair]


def _written(answers: Answers, name: str) -> dict[str, Any]:
    """Return one model's answers JSON-ready."""
    flags = answers.passed_on.get(name)
    return {
        "labels": list(answers.labels),
        "truth": answers.truth.tolist(),
        "logits": answers.logits[name].tolist(),
        "passed_on": None if flags is None else flags.tolist(),
    }


def _read(kept: dict[str, Any], name: str, examples: Path) -> Answers:
    flags = kept.get("passed_on")
    return Answers(
        labels=tuple(kept["labels"]),
        truth=np.array(kept["truth"], dtype=np.int64),
        logits={name: np.array(kept["logits"], dtype=np.float32)},
        groups=read_groups(examples),
        passed_on={} if flags is None else {name: np.array(flags, dtype=np.bool_)},
    )


def _samples(latency: Latency) -> Any:
    """Return the timings JSON-ready: of a cascade those of every kind of call."""
    if isinstance(latency, Mixed):
        kinds = [[kind.passed, kind.samples.tolist()] for kind in latency.kinds]
        return {"share": latency.share, "kinds": kinds}
    return latency.samples.tolist()


def _timed(kept: dict[str, Any], target: Target, seed: int) -> Timed:
    threads = kept.get("threads", {})
    return {
        condition: {
            name: _latency(samples, batch, target["tokens"], threads.get(name, target["threads"]), seed)
            for name, samples in kept["samples"][condition].items()
        }
        for condition, batch in batches_of(target).items()
    }


def _latency(samples: Any, batch: int, tokens: int, threads: int, seed: int) -> Latency:
    if isinstance(samples, dict):
        timed = {passed: np.array(calls) for passed, calls in samples["kinds"]}
        # The number of examples does not last: the proof weighs a cascade by what it passed on of the test.
        return mix(timed, samples["share"], 1000, batch, tokens, threads, seed)
    return summarise(np.array(samples), batch, tokens, threads, seed)

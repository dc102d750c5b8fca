"""A proof that finds evidence of the same model folders."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.helpers.search_run import make_run

from lighten.measure import gather, instruments
from lighten.measure.cascade import mix
from lighten.measure.latency import summarise
from lighten.measure.quality import Answers
from lighten.pipeline import Journal
from lighten.search.memory import known, remembered, steadiness
from lighten.search.memory.remembered import Remembered, _samples, _timed

Folders = dict[str, Path]


class Bench:
    """A machine of a given speed that counts what is measured on it; answers to the test are real."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counts: Counter[str] = Counter()
        self.asked: list[str] = []
        self.speed = 1.0
        real = instruments.quality_on

        def quality_on(folders, *args, **options):
            self.counts["answers"] += 1
            self.asked += sorted(folders)
            return real(folders, *args, **options)

        monkeypatch.setattr(instruments, "quality_on", quality_on)
        monkeypatch.setattr(instruments, "time_conditions", self.time_conditions)
        monkeypatch.setattr(instruments, "cold_start_ms", lambda folder: self.count("cold start", 50.0))
        monkeypatch.setattr(known, "peak_memory_mb", lambda folder, target: self.count("memory", 40.0))
        monkeypatch.setattr(remembered, "time_in_fresh_process", self.check)
        monkeypatch.setattr(remembered, "costs", self.costs)
        monkeypatch.setattr(steadiness.time, "sleep", lambda seconds: None)

    def count(self, what: str, value: float) -> float:
        self.counts[what] += 1
        return value

    def latency(self, name: str, batch: int) -> Any:
        milliseconds = (4.0 if name == "reference" else 1.0) * batch**0.5 / self.speed
        return summarise(np.full((6, 10), milliseconds), batch, 8, 1, 0)

    def time_conditions(self, folders, target, seed, seconds, progress):
        self.counts["timings"] += 1
        batches = instruments.batches_of(target)
        return {key: {name: self.latency(name, batch) for name in folders} for key, batch in batches.items()}

    def check(self, folders, threads, runs, seed):
        self.counts["check"] += 1
        return [{name: self.latency(name, run["batch"]) for name in folders} for run in runs]

    def costs(self, folders, target, *, seed, seconds, weigh):
        self.counts["second look"] += 1
        return {
            name: {"latency_ms": self.latency(name, 1).to_dict(), "peak_memory_mb": weigh(folder)}
            for name, folder in folders.items()
        }

    def taken(self) -> dict[str, int]:
        counts, self.counts = dict(self.counts), Counter()
        return counts


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


@pytest.fixture
def folders(tmp_path: Path, make_model_folder: Callable[..., Path]) -> Folders:
    (tmp_path / "table").mkdir()
    rows = [
        {"text": text, "label": i % 2} for i, text in enumerate(["good film", "bad mess", "a triumph", "dull"] * 5)
    ]
    (tmp_path / "table" / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {name: make_model_folder(tmp_path / name, seed=seed) for seed, name in enumerate(("reference", "a", "b"))}


def prove(folder: Path, folders: Folders, chosen: str) -> dict[str, Any]:
    """Prove as another build in the same run folder does: nothing is left of the process before."""
    run = make_run(folder)
    tools = Remembered(run)
    tools.second_look(folders[chosen], folders["reference"])
    found = gather(
        chosen=folders[chosen],
        reference=folders["reference"],
        test=folder / "table" / "test.jsonl",
        target=run.recipe.target.model_dump(),
        instruments=tools,
    )
    return {**found, "reads": tools.reads(folders["reference"])}


def test_the_same_candidate_costs_one_short_check(tmp_path: Path, bench: Bench, folders: Folders) -> None:
    first = prove(tmp_path, folders, "a")
    assert bench.taken() == {"second look": 1, "memory": 2, "answers": 1, "timings": 1, "cold start": 2}
    again = prove(tmp_path, folders, "a")
    assert bench.taken() == {"check": 1}
    assert again == first
    assert again["reads"] == 1


def test_another_candidate_answers_the_test_and_that_is_counted(
    tmp_path: Path, bench: Bench, folders: Folders
) -> None:
    prove(tmp_path, folders, "a")
    bench.taken()
    bench.asked.clear()
    found = prove(tmp_path, folders, "b")
    assert bench.taken() == {"second look": 1, "memory": 1, "answers": 1, "timings": 1, "cold start": 1}
    assert bench.asked == ["chosen"]  # the reference had answered
    assert found["reads"] == 2
    assert prove(tmp_path, folders, "a")["reads"] == 2


def test_remembered_and_measured_evidence_are_the_same(tmp_path: Path, bench: Bench, folders: Folders) -> None:
    prove(tmp_path, folders, "a")
    found = prove(tmp_path, folders, "b")
    plain = gather(
        chosen=folders["b"],
        reference=folders["reference"],
        test=tmp_path / "table" / "test.jsonl",
        target={"threads": 1, "batch": 1, "tokens": 8},
    )
    for key in ("predictions", "comparison"):
        assert found[key] == plain[key]
    assert found["chosen"]["quality"] == plain["chosen"]["quality"]


def test_a_killed_proof_has_read_the_test_once(
    tmp_path: Path, bench: Bench, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = instruments.quality_on
    monkeypatch.setattr(instruments, "quality_on", lambda *args, **options: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        prove(tmp_path, folders, "a")
    assert len(Journal(tmp_path / "journal.jsonl").all("test_read")) == 2  # journaled before the answer is known
    monkeypatch.setattr(instruments, "quality_on", real)
    assert prove(tmp_path, folders, "a")["reads"] == 1


def test_on_a_machine_at_half_the_speed_it_is_measured_again(tmp_path: Path, bench: Bench, folders: Folders) -> None:
    prove(tmp_path, folders, "a")
    bench.taken()
    bench.speed = 0.5
    found = prove(tmp_path, folders, "a")
    counts = bench.taken()
    assert counts["check"] == 1 and counts["timings"] >= 1 and counts["second look"] >= 1 and "answers" not in counts
    assert found["chosen"]["latency_ms"]["p50"] == 2.0
    assert prove(tmp_path, folders, "a")["chosen"] == found["chosen"]
    assert bench.taken() == {"check": 1}


def test_the_reference_itself_may_be_chosen(tmp_path: Path, bench: Bench, folders: Folders) -> None:
    first = prove(tmp_path, folders, "reference")
    assert first["reads"] == 0 and first["comparison"]["points_lost"] == 0
    bench.taken()
    assert prove(tmp_path, folders, "reference") == first
    assert bench.taken() == {"check": 1}


@pytest.mark.parametrize("other", [False, True])
def test_a_test_is_known_by_its_texts(tmp_path: Path, bench: Bench, folders: Folders, other: bool) -> None:
    prove(tmp_path, folders, "a")
    bench.taken()
    bench.asked.clear()
    run = make_run(tmp_path)  # as after a change of the settings: another table, with the same test or another one
    shutil.copytree(run.table.path, tmp_path / "moved")
    run.table = SimpleNamespace(key="another table", path=tmp_path / "moved", metrics={})
    test = tmp_path / "moved" / "test.jsonl"
    if other:
        test.write_text("".join(reversed(test.read_text().splitlines(keepends=True))))
    tools = Remembered(run)
    pair = {"chosen": folders["b"], "reference": folders["reference"]}
    tools.answer(pair, test, run.recipe.target.model_dump(), lambda share: None)
    assert bench.taken() == {"answers": 1}
    assert bench.asked == (["chosen", "reference"] if other else ["chosen"])
    assert tools.reads(folders["reference"]) == (1 if other else 2)


def test_what_a_cascade_passed_on_is_kept_with_its_answers(tmp_path: Path, bench: Bench, folders: Folders) -> None:
    def quality_on(asked, *args, **options):
        bench.count("answers", 0)
        logits = {name: np.eye(2, dtype=np.float32)[[0, 1] * 10] for name in asked}
        return Answers(
            ("fresh", "rotten"), np.array([0, 1] * 10), logits, None, {"chosen": np.array([True, False] * 10)}
        )

    instruments.quality_on = quality_on  # the fixture puts the real one back
    pair, examples = {"chosen": folders["a"], "reference": folders["reference"]}, tmp_path / "table" / "test.jsonl"
    for _ in range(2):
        run = make_run(tmp_path)
        found = Remembered(run).answer(pair, examples, run.recipe.target.model_dump(), lambda share: None)
        assert list(found.passed_on) == ["chosen"] and found.passed_on["chosen"].tolist() == [True, False] * 10
        assert found.logits["reference"].dtype == np.float32
    assert bench.taken() == {"answers": 1}


def test_the_timings_of_a_cascade_come_back_with_every_kind_of_call() -> None:
    random = np.random.default_rng(0)
    timed = {0: 1 + random.random((8, 5)), 1: 5 + random.random((8, 5))}
    target = {"threads": 1, "batch": 1, "tokens": 8}
    conditions = {key: {"chosen": mix(timed, 0.3, 60, 1, 8, 1, 0)} for key in ("target", "one")}
    batches = {count: 3 + count + random.random((8, 5)) for count in (0, 12, 32)}
    conditions["large"] = {"chosen": mix(batches, 0.3, 60, 32, 8, 1, 0)}
    kept = json.loads(
        json.dumps({key: {n: _samples(one) for n, one in found.items()} for key, found in conditions.items()})
    )
    again = _timed({"samples": kept}, target, seed=0)
    for key, found in conditions.items():
        weighed = [timings["chosen"].with_share(0.25, 40, 0).to_dict() for timings in (found, again[key])]
        assert weighed[0] == weighed[1]

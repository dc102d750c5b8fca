"""The training benchmark: every peer is what its label says, and nothing waits for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import ablate_training
import bench_train
import train_parts


def fake(what):
    """A Trainer that is fastest with 32 rows and always as good, and ours that takes ten seconds per epoch."""
    if what["trainer"] == "lighten":
        found = {"seconds": 10 * what["epochs"], "accuracy": 80 + what["epochs"], "epochs": what["epochs"]}
        return {**found, "padded_share": 0.01, "precision": "bf16"}
    if "steps" in what:
        return {"rows_per_second": 100 - abs(what["batch"] - 32)}
    return {"seconds": 30.0 if what.get("bf16") else 60.0, "accuracy": 81.0}


@pytest.mark.parametrize("variants", [["tuned, bf16"], ["default", "tuned", "tuned, bf16"]])
def test_a_tuned_peer_is_tuned_whichever_is_asked_for(monkeypatch, variants):
    monkeypatch.setattr(bench_train, "once", fake)
    monkeypatch.setattr(bench_train, "prepared", lambda *_: Path("data"))
    rows = bench_train.race("reviews", [0], variants)
    assert rows[-1]["settings"] == {"batch": 32, "rate": 1e-4, "grouped": True, "bf16": True}
    numbers = bench_train.summary(rows)
    assert numbers["speedup_vs_trainer_tuned_bf16"] == 3.0
    assert set(bench_train.PEERS.values()) <= set(bench_train.GOALS)
    if len(variants) == 3:
        assert numbers["speedup_vs_trainer_default"] == numbers["speedup_vs_trainer_tuned"] == 6.0
        assert rows[0]["settings"] == {}


def process(tmp_path: Path, code: str) -> subprocess.Popen[str]:
    out = tmp_path / "run"
    out.mkdir()
    with train_parts.said(out).open("w") as stream:
        return subprocess.Popen([sys.executable, "-c", code], stdout=stream, stderr=stream, text=True)


def test_a_training_that_ends_too_early_is_said(tmp_path):
    child = process(tmp_path, "raise SystemExit('bad recipe')")
    with pytest.raises(SystemExit, match="ended too early:\nbad recipe"):
        train_parts.until(child, tmp_path / "run", train_parts.checkpointed(tmp_path / "run", 1))


def test_a_checkpoint_that_comes_is_seen(tmp_path):
    file = tmp_path / "run/work/checkpoints/last/state.json"
    code = f"""
import pathlib
file = pathlib.Path({str(file)!r})
file.parent.mkdir(parents=True)
file.write_text('{{"state": {{"st')
file.write_text('{{"state": {{"step": 5}}}}')
"""
    child = process(tmp_path, code)
    train_parts.until(child, tmp_path / "run", train_parts.checkpointed(tmp_path / "run", 5))
    assert child.wait() == 0


def test_the_ablation_depends_on_its_own_patches(monkeypatch):
    asked = []
    monkeypatch.setattr(ablate_training, "remembered", lambda notes, what, places, work: asked.append(places))
    ablate_training.once("no-buckets", 0)
    assert "benchmarks/ablate_training.py" in asked[0]
    assert all((ablate_training.ROOT / place).exists() for place in asked[0])

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "benchmarks" / "bench_attention.py"


@pytest.mark.slow
def test_the_benchmark_runs_at_tiny_sizes():
    parts = ("training", "slope", "runtime", "errors", "lengths")  # planted evidence needs a model from the index
    command = [sys.executable, str(BENCH), "--tiny", "--threads", "1", "--parts", *parts]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for name in ("train_speedup_vs_longformer_4096", "peak_memory_ratio_vs_longformer_4096", "slope"):
        assert found[name]["value"] is not None
    assert found["max_abs_error"] < 1e-5 and found["max_abs_error_other_lengths"] < 1e-4
    assert found["tiny"] and found["goals_met"] == {}

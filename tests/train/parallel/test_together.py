"""Two real processes: the same training as one, whatever the strategy; checkpoints pass between strategies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.checkpoints import write_model

ROOT = Path(__file__).parents[3]
LIMIT = 1e-5
SHARED = ("ddp", "ddp accumulated", "ddp schedule-free", "ddp partly frozen")
SAME = (
    *SHARED,
    "ddp sockets",
    "ddp sockets accumulated",
    "fsdp",
    "fsdp accumulated",
    "pipeline",
    "pipeline gpipe",
    "tensor",
)
READS = ("fsdp reads ddp", "ddp reads fsdp", "pipeline reads fsdp", "fsdp reads tensor")


def run(folder: Path, world: int) -> list[dict[str, Any]]:
    """Start the processes, wait, return what each has found."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    words = [sys.executable, "-m", "tests.train.parallel.worker", str(folder)]
    processes = [
        subprocess.Popen([*words, str(rank), str(world)], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        for rank in range(world)
    ]
    try:
        said = [process.communicate(timeout=180)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(process.returncode == 0 for process in processes), said
    return [json.loads((folder / f"found-{rank}.json").read_text()) for rank in range(world)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    write_model(folder / "bert")
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> list[dict[str, Any]]:
    return run(folder, 2)


def both(found: list[dict[str, Any]], name: str) -> list[Any]:
    for one in found:
        assert not (isinstance(one[name], str) and "Traceback" in one[name]), one[name]
    return [one[name] for one in found]


@pytest.mark.parametrize("name", SAME)
def test_weights_losses_and_answers_are_those_of_one_process(found, name):
    for one in both(found, name):
        assert one["moved"] > 1e-3  # or the comparison would say nothing
        assert one["weights"] < LIMIT and one["loss"] < LIMIT and one["answers"] < LIMIT
        assert one["steps"][0] == one["steps"][1] > 5
        assert one["name"] == name.split()[0]


@pytest.mark.parametrize("name", READS)
def test_a_checkpoint_loads_in_another_strategy(found, name):
    for one in both(found, name):
        assert one["weights"] < LIMIT and one["moments"] < LIMIT and one["step"] > 5
        assert one["slots"] == ["exp_avg", "exp_avg_sq", "step"]


def test_a_checkpoint_of_two_loads_in_one(found, folder):
    from tests.train.parallel.worker import Checks

    both(found, "fsdp")
    one = Checks(folder, 0)
    for saved in ("ddp", "fsdp", "pipeline"):
        read = one.loads("none", "bert", saved, 1)
        assert read["weights"] < LIMIT and read["moments"] < LIMIT
    assert one.loads("none", "llama", "tensor", 1)["weights"] < LIMIT


@pytest.mark.slow
def test_a_checkpoint_of_two_loads_in_four(found, folder):
    four = run(folder, 4)
    for name in ("four read two", "four share what two shared", "four read stages"):
        assert max(max(one["weights"], one["moments"]) for one in both(four, name)) < LIMIT
    assert all("needs 4 layers; the model has 2" in one for one in both(four, "stages"))


def test_sharding_halves_what_each_process_holds(found):
    whole, part = both(found, "ddp sockets")[0]["bytes"], [one["bytes"] for one in both(found, "fsdp")]
    assert all(sum(one) <= 0.6 * sum(whole) for one in part)
    assert sum(one[0] for one in part) == whole[0]


def test_data_parallel_shares_the_optimiser_out_in_shared_memory_only(found):
    sockets, shared = both(found, "ddp sockets"), both(found, "ddp")
    assert all(one["reason"] == "asked for; through shared memory" for one in shared)
    assert sockets[0]["bytes"][:2] == shared[0]["bytes"][:2]
    assert all(one["bytes"][2] <= 0.51 * sockets[0]["bytes"][2] for one in shared)


def test_a_pipeline_holds_each_layer_once(found):
    parts = both(found, "pipeline gpipe")[0]["parts"]
    assert [layer for part in parts for layer in part] == [0, 1, 2]
    whole = both(found, "ddp")[0]
    stages = both(found, "pipeline")
    assert sum(one["owned"] for one in stages) == whole["owned"]
    assert sum(one["bytes"][0] for one in stages) == whole["bytes"][0]


def test_rows_that_cannot_be_split_evenly(found):
    for one in both(found, "uneven"):
        assert one["losses"][0] == pytest.approx(one["losses"][1], abs=1e-5)
        assert one["norms"][0] == pytest.approx(one["norms"][1], rel=1e-5)
        assert one["apart"] < LIMIT


def test_numbers_that_processes_share(found):
    first, second = both(found, "shared")
    assert first == second == {"agree": 0.1, "total": [3.0, 1.0], "gathered": [2, 1]}


def test_bad_input_is_named_on_every_process(found):
    for one in both(found, "refused"):
        assert "objectives on logits only" in one["objective"]
        assert "no tensor-parallel plan for BertForSequenceClassification; use parallel ddp" in one["plan"]
        assert "2 processes were started, but train.parallel.kind is none" in one["none"]

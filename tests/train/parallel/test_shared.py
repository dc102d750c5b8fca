"""Two real processes with their weights in common, one of which dies; what needs no process beside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.parallel import pair

from lighten.train.parallel import auto, shared_memory
from lighten.train.parallel.group import Process

ROOT = Path(__file__).parents[3]
TEMPORARY = Path("/dev/shm")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("pair")
    before = set(os.listdir(TEMPORARY)) if TEMPORARY.exists() else set()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    words = [sys.executable, "-m", "tests.train.parallel.pair", str(folder)]
    processes = [
        subprocess.Popen([*words, str(rank)], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    try:
        said = [processes[1].communicate(timeout=120)[1]]
        died = time.monotonic()
        said.insert(0, processes[0].communicate(timeout=60)[1])
        seconds = time.monotonic() - died
    finally:
        for process in processes:
            process.kill()
    files = [folder / f"found-{rank}.json" for rank in (0, 1)]
    assert all(file.exists() for file in files), said
    after = set(os.listdir(TEMPORARY)) if TEMPORARY.exists() else set()
    return {
        "both": [json.loads(file.read_text()) for file in files],
        "codes": [process.returncode for process in processes],
        "seconds": seconds,
        "said": said[0],
        "left": sorted(after - before),
    }


def test_gradients_are_the_sum_over_processes_and_none_where_nobody_has_any(found):
    for one in found["both"]:
        assert max(one["apart"]) < 1e-6
        never = ["frozen.bias", "frozen.weight", "never.bias", "never.weight", "shift"]
        assert one["missing"] == [never] * 4
        assert one["kept"] == []  # the model's own parameters hold no second copy


def test_norms_and_weights_are_those_of_one_process(found):
    for one in found["both"]:
        assert all(ours == pytest.approx(wanted, rel=1e-6) for ours, wanted in one["norms"])
        assert one["weights"] < 1e-6
    assert found["both"][0]["norms"] == found["both"][1]["norms"]


def test_each_process_updates_its_half(found):
    first, second = found["both"]
    assert first["owned"] + second["owned"] == first["trained"]
    assert abs(first["owned"] - second["owned"]) <= 300  # a row


def test_weights_are_there_once_but_look_like_separate_tensors(found):
    assert [one["seen"] for one in found["both"]] == [42.0, 42.0]
    assert all(one["storages"] for one in found["both"])  # or whoever saves them would take them for tied


def test_the_reason_says_how(found):
    for one in found["both"]:
        assert (one["name"], one["reason"]) == ("ddp", "asked for; through shared memory")


def test_a_dead_process_ends_the_other_and_nothing_is_left(found):
    assert found["codes"][1] == -9 and found["codes"][0] > 0
    assert found["seconds"] < 20
    assert "peer" in found["said"]
    assert not [name for name in found["left"] if "lighten" in name]


@pytest.fixture
def single(tmp_path):
    """A group of one."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_where_memory_cannot_be_shared_the_reason_says_why(single, monkeypatch):
    assert shared_memory.obstacle(Process(0, 4, 0, 2)) == "the processes run on several machines"
    assert shared_memory.obstacle(Process(0, 1, 0, 1)) is None
    monkeypatch.delattr(os, "memfd_create")
    assert shared_memory.obstacle(Process(0, 1, 0, 1)) == "this system has no files in memory"
    strategy = auto.make("ddp", here=Process(0, 2, 0, 2))
    assert type(strategy).__name__ == "DDP"
    assert strategy.reason == "asked for; through sockets: this system has no files in memory"


def test_a_file_of_another_process_is_not_mistaken(tmp_path):
    for content, length in ((b"x" * 80, 80), (b"x" * 80, 81)):
        descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
        os.write(descriptor, content)
        with pytest.raises(OSError, match="different containers"):
            shared_memory._mapped(descriptor, length, 7)
        os.close(descriptor)


def test_memory_is_zero_and_writable(single):
    memory = shared_memory.share(1000)
    assert len(memory) == shared_memory.HEADER + 1000
    assert memory[shared_memory.HEADER :] == bytes(1000)
    memory[shared_memory.HEADER] = 1
    memory.close()


def test_a_model_must_be_prepared():
    from lighten.train.parallel.shared import Shared

    strategy = Shared(here=Process())
    with pytest.raises(RuntimeError, match="prepare"):
        strategy.own(torch.nn.Parameter(torch.zeros(1)))


def test_the_pair_is_a_fair_judge():
    """Its reference has a gradient wherever a process has one."""
    found = pair.gradients(pair.Model(0))
    assert {name.split(".")[0] for name in found} == {"first", "second", "scale"}

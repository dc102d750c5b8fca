from __future__ import annotations

import pytest

from lighten.errors import InputError
from lighten.train.parallel.auto import choose, make

MILLION, GB = 10**6, 1e9


@pytest.mark.parametrize(
    ("kind", "parameters", "memory", "world", "gpu", "name", "offload", "said"),
    [
        ("auto", 22 * MILLION, 12 * GB, 1, False, "none", False, "one process"),
        ("auto", 22 * MILLION, 12 * GB, 2, False, "ddp", False, "352 MB, within 60% of the 12.0 GB of each process"),
        ("auto", 1_000 * MILLION, 20 * GB, 4, True, "fsdp", False, "16.0 GB, over 60% of the 20.0 GB of each GPU"),
        ("auto", 7_000 * MILLION, 20 * GB, 4, True, "fsdp", True, "kept in the machine's memory"),
        ("auto", 7_000 * MILLION, 8 * GB, 2, False, "fsdp", False, "even sharded"),
        ("auto", 22 * MILLION, None, 2, False, "ddp", False, "could not be found out"),
        ("pipeline", 0, None, 2, False, "pipeline", False, "asked for"),
        ("ddp", 0, None, 1, False, "none", False, "takes effect with --processes"),
        ("none", 0, None, 1, False, "none", False, "one process"),
    ],
)
def test_the_choice_and_its_reason(kind, parameters, memory, world, gpu, name, offload, said):
    choice = choose(kind, parameters, memory, world, gpu)
    assert (choice.name, choice.cpu_offload) == (name, offload)
    assert said in choice.reason and "\n" not in choice.reason


def test_the_limit_of_data_parallel():
    parameters = round(0.6 * 10 * GB / 16)
    assert choose("auto", parameters, 10 * GB, 2).name == "ddp"
    assert choose("auto", parameters + 1, 10 * GB, 2).name == "fsdp"


def test_bad_kinds():
    with pytest.raises(InputError, match="did you mean 'fsdp'"):
        choose("fdsp", 1, None, 2)
    with pytest.raises(InputError, match="2 processes were started"):
        choose("none", 1, None, 2)


def test_one_process_joins_nobody(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    strategy = make("auto", 10)
    assert (strategy.name, strategy.world_size, strategy.reason) == ("none", 1, "one process")

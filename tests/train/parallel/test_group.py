from __future__ import annotations

import pytest

from lighten.errors import InputError
from lighten.train.parallel import group

NAMES = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "OMP_NUM_THREADS",
    "TORCHELASTIC_RUN_ID",
    "MASTER_ADDR",
)


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(group, "usable_cores", lambda: 8)


def test_no_environment_is_one_process():
    assert group.process() == group.Process(0, 1, 0, 1)
    assert group.join() == group.Process(0, 1, 0, 1)


def test_the_environment_of_torchrun(monkeypatch):
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert group.process() == group.Process(3, 4, 1, 2)


@pytest.mark.parametrize(("name", "value"), [("RANK", "4"), ("RANK", "x"), ("WORLD_SIZE", "0")])
def test_an_environment_without_sense(monkeypatch, name, value):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="environment: "):
        group.process()


@pytest.mark.parametrize(
    ("said", "run", "wanted"),
    [
        (None, None, 4),
        (None, "lighten-1", 4),
        ("3", None, None),
        ("1", "lighten-1", None),  # of our own launcher it can only be the user's word
        ("1", "none", 4),  # torchrun's own
        ("2", "none", None),
    ],
)
def test_threads_share_out_the_cores_unless_the_user_has_said(monkeypatch, said, run, wanted):
    if said:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    if run:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", run)
    assert group.threads(2) == wanted
    assert group.threads(100) == (None if wanted is None else 1)


def test_the_loopback_serves_processes_of_one_machine_only(monkeypatch):
    here = group.Process(0, 2, 0, 2)
    assert group._loopback(here, "file:///x") in ("lo", "lo0", None)
    monkeypatch.setattr(group.socket, "if_nameindex", lambda: [(1, "lo"), (2, "eth0")])
    assert group._loopback(here, "env://") == "lo"
    assert group._loopback(group.Process(0, 4, 0, 2), "env://") is None
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    assert group._loopback(here, "env://") is None


def test_processes_wait_for_hours(monkeypatch, tmp_path):
    """For the first one's work: gloo alone would give up after half an hour."""
    asked = {}
    monkeypatch.setattr(group.dist, "init_process_group", lambda backend, **options: asked.update(options))
    monkeypatch.setattr(group.dist, "rendezvous", lambda *_: iter([(group.dist.HashStore(), 0, 2)]))
    monkeypatch.setattr(group.torch, "set_num_threads", lambda count: None)
    group.join(group.Process(0, 2, 0, 2), f"file://{tmp_path}/meet")
    assert asked["world_size"] == 2 and asked["timeout"].total_seconds() >= 12 * 3600

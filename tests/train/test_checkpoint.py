"""Checkpoints of trainings in flight: whole or ignored."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import torch

from lighten.errors import InputError
from lighten.pipeline.files import write_json
from lighten.train import checkpoint
from lighten.train.checkpoint import Checkpoints
from lighten.train.parallel.strategy import Strategy
from lighten.train.state import State


def make(seed: int = 0):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LayerNorm(3), torch.nn.Linear(3, 2))
    decayed, plain = [p for p in model.parameters() if p.dim() > 1], [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    return model, torch.optim.AdamW(groups, lr=1e-2, fused=True)


def step(model, optimizer, seed: int) -> None:
    torch.manual_seed(seed)
    model(torch.randn(5, 4)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def weights(model) -> list[torch.Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def equal(first, second) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


STATE = State(
    step=7,
    epoch=1,
    position=3,
    elapsed=12.5,
    validation_seconds=0.5,
    precision="bf16",
    best=81.25,
    best_step=4,
    stale=2,
    history=[{"step": 4, "validation": 81.25, "loss": None}],
)


def saved(folder: Path):
    """Save a checkpoint after three steps; returns model and optimiser."""
    model, optimizer = make()
    for seed in range(3):
        step(model, optimizer, seed)
    best = {name: value + 1 for name, value in model.state_dict().items()}
    Checkpoints(folder).save(STATE, model, optimizer, best)
    return model, optimizer


def test_everything_comes_back(tmp_path):
    model, optimizer = saved(tmp_path)
    other, other_optimizer = make(seed=9)
    state, best, extra = Checkpoints(tmp_path).load(other, other_optimizer)
    assert state == STATE and extra == {}
    assert equal(weights(other), weights(model))
    assert best.keys() == model.state_dict().keys()
    assert all(torch.equal(best[name], value + 1) for name, value in model.state_dict().items())
    # The optimiser's moments and step count too: what follows is the same to the last bit.
    for seed in (3, 4):
        step(model, optimizer, seed)
        step(other, other_optimizer, seed)
    assert equal(weights(other), weights(model))


def test_before_any_validation_there_is_no_best(tmp_path):
    model, optimizer = make()
    Checkpoints(tmp_path).save(State(step=1), model, optimizer, None)
    content = json.loads((tmp_path / "last/state.json").read_text())  # strict JSON: no -Infinity
    assert content["state"]["best"] is None
    state, best, _ = Checkpoints(tmp_path).load(*make())
    assert state == State(step=1) and best is None


def test_the_newest_one_replaces_the_last(tmp_path):
    model, optimizer = saved(tmp_path)
    Checkpoints(tmp_path).save(State(step=8), model, optimizer, None)
    state, best, _ = Checkpoints(tmp_path).load(*make())
    assert state.step == 8 and best is None
    assert sorted(f.name for f in tmp_path.iterdir()) == ["last", "previous"]
    Checkpoints(tmp_path).save(State(step=9), model, optimizer, None)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["last", "previous"]
    assert json.loads((tmp_path / "previous/state.json").read_text())["state"]["step"] == 8


def test_what_an_objective_carries_comes_back(tmp_path):
    model, optimizer = make()
    carried = {"memory": torch.arange(6).reshape(2, 3), "empty": torch.zeros(0, 4), "one": torch.tensor(2.5)}
    Checkpoints(tmp_path).save(State(step=1), model, optimizer, None, carried)
    extra = Checkpoints(tmp_path).load(*make())[2]
    assert extra.keys() == carried.keys() and all(torch.equal(extra[k], v) for k, v in carried.items())
    assert extra["memory"].dtype == torch.int64


def test_tied_weights_are_kept_once_and_come_back(tmp_path):
    def tied(seed: int):
        torch.manual_seed(seed)
        model = torch.nn.ModuleDict({"a": torch.nn.Linear(3, 3, bias=False), "b": torch.nn.Linear(3, 3, bias=False)})
        model["b"].weight = model["a"].weight
        return model, torch.optim.AdamW(model.parameters())

    model, optimizer = tied(0)
    Checkpoints(tmp_path).save(State(step=1), model, optimizer, None)
    other, other_optimizer = tied(1)
    Checkpoints(tmp_path).load(other, other_optimizer)
    assert torch.equal(other["a"].weight, model["a"].weight) and other["a"].weight is other["b"].weight


@pytest.mark.parametrize("mark", ["other", ""])
def test_a_checkpoint_of_another_training_is_refused(tmp_path, mark):
    model, optimizer = make()
    Checkpoints(tmp_path, fingerprint="this").save(STATE, model, optimizer, None)
    with pytest.raises(InputError, match="of another training"):
        Checkpoints(tmp_path, fingerprint=mark).load(*make())
    assert Checkpoints(tmp_path, fingerprint="this").load(*make()) is not None


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    saved(tmp_path)
    for layer in (torch.nn.Linear(4, 5), torch.nn.Linear(4, 3)):
        model = torch.nn.Sequential(layer, torch.nn.Tanh(), torch.nn.Linear(5, 2))
        with pytest.raises(InputError, match=r"of another model: .*remove it"):
            Checkpoints(tmp_path).load(model, torch.optim.AdamW(model.parameters()))


def test_a_full_disk_leaves_the_last_one_intact(tmp_path, monkeypatch):
    model, _ = saved(tmp_path)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lighten.train.shards.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        Checkpoints(tmp_path).save(State(step=8), *make(3), None)
    assert [f.name for f in tmp_path.iterdir()] == ["last"]
    other, optimizer = make(9)
    assert Checkpoints(tmp_path).load(other, optimizer)[0] == STATE and equal(weights(other), weights(model))


def test_nothing_is_pickled(tmp_path):
    saved(tmp_path)
    assert sorted(f.name for f in (tmp_path / "last").iterdir()) == [
        "shard-00000.json",
        "shard-00000.safetensors",
        "state.json",
    ]


def test_without_a_folder_nothing_is_kept():
    checkpoints = Checkpoints(None, seconds=0)
    model, optimizer = make()
    checkpoints.save(STATE, model, optimizer, None)
    assert not checkpoints.due() and checkpoints.load(model, optimizer) is None


def test_no_checkpoint_yet(tmp_path):
    assert Checkpoints(tmp_path / "none").load(*make()) is None
    assert Checkpoints(tmp_path).load(*make()) is None


@pytest.mark.parametrize(
    "damage", ["no state", "no tensors", "half state", "half tensors", "flipped bit", "empty", "strange state"]
)
def test_a_torn_checkpoint_is_ignored_and_harms_nothing(tmp_path, damage):
    saved(tmp_path)
    state, tensors = tmp_path / "last/state.json", tmp_path / "last/shard-00000.safetensors"
    if damage == "no state":
        state.unlink()
    elif damage == "no tensors":
        tensors.unlink()
    elif damage == "half state":
        state.write_text(state.read_text()[:40])
    elif damage == "half tensors":
        tensors.write_bytes(tensors.read_bytes()[:-9])
    elif damage == "flipped bit":
        content = bytearray(tensors.read_bytes())
        content[-5] ^= 1
        tensors.write_bytes(content)
    elif damage == "empty":
        state.write_text("{}")
    else:
        state.write_text(state.read_text().replace('"position"', '"unheard_of"'))
    model, optimizer = make(seed=3)
    before = weights(model)
    assert Checkpoints(tmp_path).load(model, optimizer) is None
    assert equal(weights(model), before) and not optimizer.state


def test_a_kill_while_replacing_loses_nothing(tmp_path):
    """The old folder was moved away, the new one not yet in: and a half-written one lies about."""
    model, _ = saved(tmp_path)
    (tmp_path / "last").rename(tmp_path / "previous")
    (tmp_path / ".saving").mkdir()
    (tmp_path / ".saving/shard-00000.safetensors").write_bytes(b"half")
    other, optimizer = make(seed=9)
    state, _, _ = Checkpoints(tmp_path).load(other, optimizer)
    assert state == STATE and equal(weights(other), weights(model))
    Checkpoints(tmp_path).save(State(step=9), other, optimizer, None)
    state, _, _ = Checkpoints(tmp_path).load(*make())
    assert state.step == 9 and sorted(f.name for f in tmp_path.iterdir()) == ["last", "previous"]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path):
    model, optimizer = saved(tmp_path)
    Checkpoints(tmp_path).save(State(step=8), model, optimizer, None)
    (tmp_path / "last/shard-00000.safetensors").write_bytes(b"half")
    assert Checkpoints(tmp_path).load(*make())[0] == STATE


def test_saving_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    """A save of two seconds is due again after a hundred."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    checkpoints = Checkpoints(tmp_path, seconds=30)
    assert not checkpoints.due()
    now[0] += 30
    assert checkpoints.due()

    def slow(*arguments) -> None:
        """Two of them are written: of the part and of the whole."""
        now[0] += 1
        write_json(*arguments)

    monkeypatch.setattr("lighten.train.checkpoint.write_json", slow)
    checkpoints.save(STATE, *make(), None)
    now[0] += 99
    assert not checkpoints.due()
    now[0] += 1
    assert checkpoints.due()


class Together(Strategy):
    """One of two processes, here threads, that wait for each other; one that waits in vain breaks off."""

    world_size = 2

    def __init__(self, rank: int, meeting: threading.Barrier, said: list[bool]) -> None:
        super().__init__()
        self.rank, self.meeting, self.said, self.owns_plain = rank, meeting, said, rank == 0

    def barrier(self) -> None:
        self.meeting.wait(5)

    def anywhere(self, here: bool) -> bool:
        self.said[self.rank] = here
        self.meeting.wait(5)
        found = any(self.said)
        self.meeting.wait(5)
        return found


def save_in_two(folder: Path) -> list[Exception | None]:
    """Save from two processes; returns how each ended."""
    meeting, said, ended = threading.Barrier(2), [False, False], [RuntimeError("never ended"), None]

    def work(rank: int) -> None:
        try:
            Checkpoints(folder, strategy=Together(rank, meeting, said)).save(STATE, *make())
            ended[rank] = None
        except Exception as error:
            ended[rank] = error

    threads = [threading.Thread(target=work, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


@pytest.mark.parametrize("where", ["the folder", "the second part", "the whole"])
def test_where_one_process_cannot_write_all_say_so_and_none_waits(tmp_path, monkeypatch, where):
    full = OSError(28, "No space left on device")
    assert save_in_two(tmp_path) == [None, None]
    with monkeypatch.context() as patched:
        if where == "the folder":

            def mkdir(self, *arguments, **options):
                raise full

            patched.setattr(Path, "mkdir", mkdir)
        elif where == "the second part":
            real = checkpoint.write_shard

            def write_shard(tensors, folder, rank, plain):
                if rank:
                    raise full
                return real(tensors, folder, rank, plain)

            patched.setattr(checkpoint, "write_shard", write_shard)
        else:

            def write(file, content):
                if file.name == "state.json":
                    raise full
                write_json(file, content)

            patched.setattr(checkpoint, "write_json", write)
        ended = save_in_two(tmp_path)
    assert [type(error) for error in ended] == [OSError, OSError], ended
    assert any("No space left" in str(error) for error in ended)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["last"]
    assert save_in_two(tmp_path) == [None, None]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["last", "previous"]

"""Freeze and cache: exact, kept, bounded."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.helpers import training as training_helpers
from tests.helpers.checkpoints import KINDS
from tests.helpers.training import FAST, Killed, Task, weights

from lighten.errors import BuildError, InputError
from lighten.models.freeze import freeze, top_only
from lighten.models.load import load_classifier
from lighten.models.norms import set_norm
from lighten.train import activations
from lighten.train.activations import activation_bytes, bottom_seconds, cache_activations, sweep, why_not_cache
from lighten.train.datasets.cached import CachedRows
from lighten.train.infer import infer, infer_rows
from lighten.train.loop import Training
from lighten.train.objectives import Classification
from lighten.train.precision import Precision
from lighten.train.sampler import Sampler

FP32 = Precision("fp32", "asked for")
SETTINGS = replace(FAST, epochs=2, learning_rate=1e-3)


@pytest.fixture
def task(bert) -> Task:
    return Task(bert)


def cached(task: Task, folder, dropout=0.0, settings=SETTINGS, checkpoints=None, stop=None, layers=1, norm="layer"):
    """Train the top on cached activations; returns the whole model and the report."""
    model = load_classifier(task.bert, ["bad", "good"], settings.seed, dropout)
    set_norm(model, norm)
    freeze(model, layers)
    rows = cache_activations(model, task.encoded, 0, layers, folder, FP32)
    steps = []

    def validate(precision):
        return float((infer_rows(model, rows, precision).logits.argmax(1) == task.labels).float().mean() * 100)

    def tick():
        steps.append(1)
        if len(steps) == stop:
            raise Killed

    with top_only(model, layers):
        training = Training(
            model,
            Sampler(rows, 128, settings.seed),
            Classification(task.labels),
            validate,
            settings,
            checkpoints=checkpoints,
            tick=tick,
        )
        report = training.run()
    return model, report


def plain(task: Task, monkeypatch, dropout=0.0, layers=1, norm="layer"):
    def load(*args):
        model = load_classifier(*args)
        set_norm(model, norm)
        freeze(model, layers)
        return model

    monkeypatch.setattr(training_helpers, "load_classifier", load)
    training = task.training(SETTINGS, dropout=dropout)
    training.run()
    return training


def difference(first, second) -> float:
    # A bias of the keys changes no answer: its gradient is rounding, which Adam scales up to full steps.
    names = [name for name in first if not name.endswith("key.bias")]
    return max(float((first[name] - second[name]).abs().max()) for name in names)


@pytest.mark.parametrize(("dropout", "norm"), [(0.0, "layer"), (0.3, "layer"), (0.0, "none"), (0.1, "batch")])
def test_the_cache_trains_what_a_frozen_bottom_trains(task, tmp_path, monkeypatch, dropout, norm):
    """Dropout of the top draws the same numbers in both, since the bottom draws none."""
    model, report = cached(task, tmp_path, dropout, norm=norm)
    wanted = weights(plain(task, monkeypatch, dropout, norm=norm))
    start = load_classifier(task.bert, ["bad", "good"], 0)
    set_norm(start, norm)
    before = start.state_dict()
    assert report.steps >= 20
    assert difference(wanted, model.state_dict()) < 1e-5
    assert difference(wanted, before) > 1e-3  # something was learnt
    bottom = [name for name in before if "embeddings" in name or "layer.0." in name]
    assert all(torch.equal(before[name], model.state_dict()[name]) for name in bottom)


@pytest.mark.parametrize("kind", KINDS)
def test_the_top_on_cached_rows_answers_as_the_whole_model(checkpoints, tmp_path, kind):
    task = Task(checkpoints[kind], count=20)
    pad_id = 1 if kind == "roberta" else 0
    model = load_classifier(checkpoints[kind], ["bad", "good"], 0)
    wanted = infer(model, task.encoded, pad_id, FP32, states=True, pooled=True, budget=64)
    rows = cache_activations(model, task.encoded, pad_id, 1, tmp_path, FP32, budget=64)
    with top_only(model, 1):
        found = infer_rows(model, rows, FP32, states=True, pooled=True, budget=64)
    assert torch.allclose(found.logits, wanted.logits, atol=1e-5)
    assert torch.allclose(found.pooled, wanted.pooled, atol=1e-5)
    assert torch.allclose(found.states.float(), wanted.states.float(), atol=1e-2)
    assert torch.equal(found.starts, wanted.starts)


def test_killed_and_resumed_ends_with_the_same_bits(task, tmp_path):
    settings = replace(SETTINGS, checkpoint_seconds=0.0)
    wanted, _ = cached(task, tmp_path / "cache", 0.2, settings)
    with pytest.raises(Killed):
        cached(task, tmp_path / "cache", 0.2, settings, tmp_path / "state", stop=13)
    found, report = cached(task, tmp_path / "cache", 0.2, settings, tmp_path / "state")
    assert report.steps >= 20
    for name, value in wanted.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name


def test_what_is_there_is_used_again(task, bert, tmp_path, monkeypatch):
    model = load_classifier(bert, ["bad", "good"], 0)
    first = cache_activations(model, task.encoded, 0, 1, tmp_path, FP32)
    assert isinstance(first.activations, np.memmap) and not first.activations.flags.writeable
    computed = []
    original = activations._compute
    monkeypatch.setattr(activations, "_compute", lambda *a: (computed.append(1), original(*a)))
    with torch.no_grad():  # the top and the head do not matter
        model.classifier.weight.add_(1.0)
    again = cache_activations(model, task.encoded, 0, 1, tmp_path, FP32)
    assert not computed and np.array_equal(first.activations, again.activations)
    cache_activations(model, task.encoded[:-1], 0, 1, tmp_path, FP32)
    cache_activations(model, task.encoded, 0, 2, tmp_path, FP32)
    cache_activations(model, task.encoded, 0, 1, tmp_path, FP32, half=True)
    with torch.no_grad():  # a layer below does
        model.bert.encoder.layer[0].output.dense.bias.add_(1e-3)
    cache_activations(model, task.encoded, 0, 1, tmp_path, FP32)
    assert len(computed) == 4 and len(list(tmp_path.iterdir())) == 5


def test_a_damaged_file_is_computed_again(task, bert, tmp_path):
    model = load_classifier(bert, ["bad", "good"], 0)
    first = np.array(cache_activations(model, task.encoded, 0, 1, tmp_path, FP32).activations)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    assert np.array_equal(cache_activations(model, task.encoded, 0, 1, tmp_path, FP32).activations, first)


def test_batches_do_not_matter_and_the_mode_is_kept(task, bert, tmp_path):
    model = load_classifier(bert, ["bad", "good"], 0, dropout=0.5).train()
    one = cache_activations(model, task.encoded, 0, 1, tmp_path / "1", FP32, budget=40)
    other = cache_activations(model, task.encoded, 0, 1, tmp_path / "2", FP32, budget=4000)
    assert np.allclose(one.activations, other.activations, atol=1e-5)
    assert model.training and model.bert.training


def test_half_takes_half_and_is_near(task, bert, tmp_path):
    model = load_classifier(bert, ["bad", "good"], 0)
    full = cache_activations(model, task.encoded, 0, 1, tmp_path, FP32)
    half = cache_activations(model, task.encoded, 0, 1, tmp_path, FP32, half=True)
    assert half.activations.nbytes * 2 == full.activations.nbytes == activation_bytes(int(full.starts[-1]), 32)
    assert activation_bytes(10, 32, half=True) == 640
    assert np.abs(half.activations - full.activations).max() < 1e-2
    with torch.no_grad():
        model.bert.encoder.layer[0].output.LayerNorm.bias.fill_(1e6)
    with pytest.raises(BuildError, match="keep them in float32"):
        cache_activations(model, task.encoded, 0, 1, tmp_path, FP32, half=True)
    assert len(list(tmp_path.iterdir())) == 2  # nothing half written is left


def test_too_large_says_why(task, bert, tmp_path):
    model = load_classifier(bert, ["bad", "good"], 0)
    assert why_not_cache(1000, 384, tmp_path) is None
    assert "need 1.54 GB, above the limit of 1.00 GB" in str(why_not_cache(10**6, 384, tmp_path, 10**9))
    free = shutil.disk_usage(tmp_path).free
    tokens = free // 4 // 384
    assert "of disk are free" in str(why_not_cache(tokens, 384, tmp_path / "not/there", 10**18))
    with pytest.raises(InputError, match="above the limit"):
        cache_activations(model, task.encoded, 0, 1, tmp_path / "new", FP32, limit=100)
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_nothing(task, bert, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(activations, "_write", full)
    with pytest.raises(BuildError, match=r"could not be written to .* No space left"):
        cache_activations(load_classifier(bert, ["a", "b"], 0), task.encoded, 0, 1, tmp_path, FP32)
    assert not list(tmp_path.iterdir())


def test_the_type_of_the_rows(task, bert, tmp_path):
    model = load_classifier(bert, ["bad", "good"], 0)
    rows = cache_activations(model, task.encoded, 0, 0, tmp_path, FP32)  # the embeddings alone
    assert isinstance(rows, CachedRows) and rows.lengths.tolist() == [len(ids) for ids in task.encoded]
    with pytest.raises(InputError, match="cannot be cut after layer 3"):
        cache_activations(model, task.encoded, 0, 3, tmp_path, FP32)


def test_the_time_is_foreseen_from_three_batches(task, bert, monkeypatch):
    """Each takes a second here; what they hold, padding counted, stands for all."""
    model = load_classifier(bert, ["bad", "good"], 0, dropout=0.5).train()
    plan = activations.plan_batches(np.array([len(ids) for ids in task.encoded]), 64, None)
    sizes = [len(index) * max(len(task.encoded[i]) for i in index) for index in plan]
    now = iter(range(1000))
    monkeypatch.setattr(activations.time, "perf_counter", lambda: float(next(now)))
    seconds = bottom_seconds(model, task.encoded, 0, 1, FP32, budget=64)
    timed = [sizes[0], sizes[int((len(plan) - 1) / 2)], sizes[-1]]
    assert len(plan) > 5 and seconds == pytest.approx(3 / sum(timed) * sum(sizes))
    assert model.training and model.bert.training and bottom_seconds(model, [], 0, 1, FP32) == 0.0


def test_leftovers_are_swept_and_nothing_else(tmp_path):
    for name in (".activations-1.npy.x", "activations-1.npy", ".other"):
        (tmp_path / name).write_bytes(b"")
    sweep(tmp_path)
    sweep(tmp_path / "not there")
    assert sorted(file.name for file in tmp_path.iterdir()) == [".other", "activations-1.npy"]

"""The training loop: it learns, keeps to the clock, and resumes to the last bit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lighten.errors import BuildError
from lighten.models.load import load_classifier
from lighten.models.tokens import encode, read_tokenizer
from lighten.pipeline.files import read_json, write_json
from lighten.train.batches import TokenBudgetSampler
from lighten.train.checkpoint import Checkpoints
from lighten.train.infer import infer
from lighten.train.loop import Settings, Training, make_optimizer
from lighten.train.objectives import Classification
from lighten.train.precision import Precision
from tests.helpers.checkpoints import sentences

FAST = Settings(epochs=3, learning_rate=3e-3, precision="fp32", patience=100)


class Killed(BaseException):
    """Stands for ``kill -9``: nothing in the loop may catch it."""


class Task:
    """Films reviewed in words that tell: learnable by the tiny BERT in a few epochs."""

    def __init__(self, bert: Path, count: int = 96) -> None:
        texts, labels = sentences(count, seed=1)
        self.bert, self.labels = bert, torch.tensor(labels)
        self.encoded = encode(read_tokenizer(bert), texts, 40)

    def training(self, settings: Settings = FAST, folder: Path | None = None, dropout: float = 0.0, **options: Any):
        model = load_classifier(self.bert, ["bad", "good"], settings.seed, dropout)
        sampler = TokenBudgetSampler(self.encoded, options.pop("budget", 128), 0, settings.seed)

        def validate(precision: Precision) -> float:
            assert not model.training
            return float((infer(model, self.encoded, 0, precision).logits.argmax(1) == self.labels).float().mean() * 100)

        objective = options.pop("objective", Classification(self.labels))
        return Training(
            model, sampler, objective, options.pop("validate", validate), settings, checkpoints=folder, **options
        )


@pytest.fixture(scope="module")
def task(bert) -> Task:
    return Task(bert)


def weights(training) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in training.model.state_dict().items()}


def identical(first, second) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# Learning


def test_the_loss_falls_and_the_best_weights_are_restored(task):
    training = task.training(Settings(epochs=10, learning_rate=3e-3, precision="fp32", patience=100))
    report = training.run()
    losses = [entry["loss"] for entry in report.history if entry["loss"] is not None]
    assert np.mean(losses[-2:]) < 0.5 * losses[0]
    assert report.best > 90 and report.stopped == "steps"
    scores = [entry["validation"] for entry in report.history if entry["validation"] is not None]
    assert max(scores) == pytest.approx(report.best, abs=1e-3) and len(scores) > 10
    assert report.best - training.validate(training.precision) <= FAST.restore_margin
    assert report.steps == 10 * training.per_epoch and report.epochs == 10
    assert report.precision == "fp32" and report.precision_reason == "asked for"
    assert report.tokens_per_second > 0 and 0 <= report.padded_share < 0.3


def test_the_learning_rate_rises_and_falls_to_zero(task):
    rates = []
    training = task.training(tick=lambda: rates.append(training.optimizer.param_groups[0]["lr"]))
    training.run()
    assert max(rates) == pytest.approx(FAST.learning_rate, rel=0.2) and rates[-1] < 0.1 * max(rates)
    peak = int(np.argmax(rates))
    assert peak < 0.2 * len(rates)
    assert rates[: peak + 1] == sorted(rates[: peak + 1]) and rates[peak:] == sorted(rates[peak:], reverse=True)


def test_the_same_seed_gives_the_same_weights(task):
    runs = []
    for seed in (1, 1, 2):
        training = task.training(Settings(epochs=1, precision="fp32", seed=seed), dropout=0.2)
        torch.manual_seed(len(runs))  # whatever happened before must not matter
        training.run()
        runs.append(weights(training))
    assert identical(runs[0], runs[1]) and not identical(runs[0], runs[2])


def test_half_an_epoch(task):
    report = task.training(Settings(epochs=0.5, precision="fp32")).run()
    assert report.epochs == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("budget", [40, 128, 10_000])
def test_every_example_weighs_the_same_whatever_its_batch(task, budget):
    """Gradients of an epoch at rest add up to the gradient of the mean over all examples, times the batches."""
    still = Settings(epochs=1, learning_rate=0.0, precision="fp32", clip=1e9)
    training = task.training(still, budget=budget, validate=lambda precision: 0.0)
    sums: dict[str, torch.Tensor] = {}
    for name, parameter in training.model.named_parameters():
        parameter.register_hook(lambda g, n=name: sums.__setitem__(n, sums.get(n, 0) + g.clone()))
    training.run()
    found = dict(sums)
    model = load_classifier(task.bert, ["bad", "good"], 0)
    for index, ids in enumerate(task.encoded):
        tokens = torch.from_numpy(ids.astype(np.int64))[None]
        logits = model(tokens, torch.ones_like(tokens)).logits
        torch.nn.functional.cross_entropy(logits, task.labels[index : index + 1], reduction="sum").backward()
    batches = len(training.sampler.batches(0))
    for name, parameter in model.named_parameters():
        wanted = parameter.grad / len(task.encoded) * batches
        assert torch.allclose(found[name], wanted, atol=1e-4 * batches), name


def test_long_batches_come_padded_but_padding_changes_nothing(task):
    """One batch of all texts and one of each length give the same loss for each example."""
    losses: dict[int, list[float]] = {}

    class Spy(Classification):
        def __call__(self, outputs, index):
            loss = super().__call__(outputs, index)
            for i, value in zip(index.tolist(), loss.detach().tolist(), strict=True):
                losses.setdefault(i, []).append(value)
            return loss

    for budget in (16, 10_000):
        still = Settings(epochs=1, learning_rate=0.0, precision="fp32")
        task.training(still, budget=budget, objective=Spy(task.labels), validate=lambda precision: 0.0).run()
    assert all(len(values) == 2 and values[0] == pytest.approx(values[1], abs=1e-5) for values in losses.values())


def test_decay_is_for_matrices_alone(task):
    model = load_classifier(task.bert, ["bad", "good"], 0)
    decayed, plain = make_optimizer(model, FAST).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert decayed["weight_decay"] == FAST.weight_decay and plain["weight_decay"] == 0
    held = {names[id(p)] for p in decayed["params"]}
    assert held and all("weight" in n and "Norm" not in n and "embedding" not in n for n in held)
    assert len(decayed["params"]) + len(plain["params"]) == len(names)


# Stopping


class Stopwatch:
    """Tells a loop that is slow from a machine that stalls: keeps the longest step and all validations."""

    def __init__(self, training: Training, pause: float = 0.0) -> None:
        self.step, self.validations, self.last, self.pause = 0.0, [], time.monotonic(), pause
        self.validate, training.validate, training.tick = training.validate, self._validate, self._tick

    def _tick(self) -> None:
        time.sleep(self.pause)
        self.step, self.last = max(self.step, time.monotonic() - self.last), time.monotonic()

    def _validate(self, precision: Precision) -> float:
        started = time.monotonic()
        score = self.validate(precision)
        self.validations.append(time.monotonic() - started)
        self.last += self.validations[-1]
        return score

    @property
    def unforeseen(self) -> float:
        """What no loop could know beforehand: one step, and what the last validation took beyond the one before."""
        return self.step + max(0.0, self.validations[-1] - self.validations[-2])


def test_the_clock_is_honoured(task):
    settings = Settings(epochs=10_000, seconds=3.0, precision="fp32", patience=10_000, validations_per_epoch=1)
    training = task.training(settings)
    watch, started = Stopwatch(training), time.monotonic()
    report = training.run()
    took = time.monotonic() - started
    assert report.stopped == "clock" and len(watch.validations) > 2
    assert 3.0 * 0.85 < report.seconds < 3.0 * 1.15 + watch.unforeseen
    assert report.seconds == pytest.approx(took, rel=0.2)
    rates = [entry["lr"] for entry in report.history]
    assert rates[-1] < 0.2 * max(rates)


def test_the_last_validation_is_inside_the_clock(task):
    """Even where the clock ends before the first epoch: how long a validation takes is found out in time."""

    def slow(precision: Precision) -> float:
        time.sleep(0.8)
        return 50.0

    settings = Settings(epochs=10_000, seconds=3.0, precision="fp32", validations_per_epoch=1, patience=100)
    training = task.training(settings, validate=slow)
    training.per_epoch = 10_000
    watch = Stopwatch(training, pause=0.02)
    report = training.run()
    assert len(watch.validations) == 2
    assert report.seconds < 3.0 * 1.15 + watch.unforeseen


def test_early_stopping(task):
    scores = iter([10.0, 30.0, 20.0, 30.0, 5.0, *[1.0] * 100])
    kept = []

    def validate(precision: Precision) -> float:
        kept.append(weights(training))
        return next(scores)

    training = task.training(Settings(epochs=50, precision="fp32", patience=3), validate=validate)
    report = training.run()
    assert report.stopped == "early" and report.best == 30.0
    every = training.per_epoch // 2
    assert report.best_step == 2 * every and report.steps == 5 * every
    assert len(kept) == 5
    assert identical(weights(training), kept[1])


@pytest.mark.parametrize(("last", "restored"), [(29.0, False), (28.4, True), (31.0, False)])
def test_an_earlier_state_is_restored_only_where_it_was_clearly_better(task, last, restored):
    scores = iter([30.0, last])
    kept = []

    def validate(precision: Precision) -> float:
        kept.append(weights(training))
        return next(scores)

    training = task.training(Settings(epochs=1, learning_rate=3e-3, precision="fp32"), validate=validate)
    report = training.run()
    assert len(kept) == 2 and not identical(*kept)
    assert report.best == max(30.0, last) and Settings().restore_margin == 1.5
    assert identical(weights(training), kept[0 if restored else 1])


def test_a_loss_that_is_no_number(task):
    class Diverging(Classification):
        def __call__(self, outputs, index):
            return super().__call__(outputs, index) * (float("nan") if training.state.step == 5 else 1.0)

    training = task.training(objective=Diverging(task.labels), name="student")
    with pytest.raises(BuildError, match="student: the loss became nan at step 5; lower the learning rate"):
        training.run()


# Resuming


def kill_at(step: int, training: Training) -> Training:
    """Let the training die at the end of a step."""

    def tick() -> None:
        if training.state.step == step:
            raise Killed

    training.tick = tick
    return training


@pytest.fixture
def always_due(monkeypatch):
    monkeypatch.setattr(Checkpoints, "due", lambda self: self.folder is not None)


@pytest.fixture(scope="module")
def undisturbed(task) -> dict[float, tuple[Any, Any]]:
    """Weights and report of a training nobody killed, by dropout."""
    found = {}
    for dropout in (0.0, 0.3):
        training = task.training(dropout=dropout)
        report = training.run()
        found[dropout] = (weights(training), report)
    return found


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_resumed_weights_are_identical(task, tmp_path, always_due, undisturbed, dropout):
    """Killed in the first epoch, at its end, in the next one and just before the end, each time in a new process."""
    per_epoch = task.training().per_epoch
    assert per_epoch > 4
    for step in (1, 2, per_epoch - 1, per_epoch, per_epoch + 1, 2 * per_epoch + 3, 3 * per_epoch):
        with pytest.raises(Killed):
            kill_at(step, task.training(folder=tmp_path, dropout=dropout)).run()
        torch.manual_seed(step)  # a new process starts from anywhere
    training = task.training(folder=tmp_path, dropout=dropout)
    report = training.run()
    wanted, whole = undisturbed[dropout]
    assert identical(weights(training), wanted)
    assert (report.steps, report.best, report.best_step, report.stopped) == (
        whole.steps,
        whole.best,
        whole.best_step,
        whole.stopped,
    )
    strip = [{k: v for k, v in entry.items() if k != "seconds"} for entry in report.history]
    assert strip == [{k: v for k, v in entry.items() if k != "seconds"} for entry in whole.history]


def test_steps_after_the_last_checkpoint_are_done_again(task, tmp_path, monkeypatch, undisturbed):
    training = task.training(folder=tmp_path, dropout=0.3)
    monkeypatch.setattr(Checkpoints, "due", lambda self: training.state.step == 5)
    with pytest.raises(Killed):
        kill_at(9, training).run()
    again = task.training(folder=tmp_path, dropout=0.3)
    first: list[int] = []
    again.tick = lambda: first.append(again.state.step)
    again.run()
    assert first[0] == 6
    assert identical(weights(again), undisturbed[0.3][0])


def test_early_stopping_goes_on_counting(task, tmp_path, always_due):
    """Validations without a new best before the kill count after it."""
    settings = Settings(epochs=50, precision="fp32", patience=3)
    every = task.training().per_epoch // 2
    falling = iter(range(100, 0, -1))
    options = {"validate": lambda precision: float(next(falling)), "folder": tmp_path}
    with pytest.raises(Killed):
        kill_at(2 * every + 1, task.training(settings, **options)).run()
    report = task.training(settings, **options).run()
    assert report.stopped == "early" and report.steps == 4 * every and report.best == 100


def test_the_clock_goes_on_counting(task, tmp_path, always_due):
    settings = Settings(epochs=10_000, seconds=60, precision="fp32")
    training = task.training(settings, folder=tmp_path)
    with pytest.raises(Killed):
        kill_at(3, training).run()
    file = tmp_path / "last/state.json"
    state = read_json(file)
    assert 0 < state["elapsed"] < 60
    write_json(file, {**state, "elapsed": 59.999})
    report = task.training(settings, folder=tmp_path).run()
    assert report.stopped == "clock" and report.steps <= 4 and report.seconds >= 59.9


def test_the_precision_is_kept(task, tmp_path, always_due, monkeypatch):
    """A probe on a busier machine could choose another one, and the weights would differ."""
    monkeypatch.setattr("lighten.train.precision._speed_ratio", lambda width, rows: 9.0)
    settings = Settings(epochs=1, precision="auto")
    with pytest.raises(Killed):
        kill_at(2, task.training(settings, folder=tmp_path)).run()
    monkeypatch.setattr("lighten.train.precision._speed_ratio", lambda width, rows: 0.1)
    report = task.training(settings, folder=tmp_path).run()
    assert report.precision == "bf16" and report.precision_reason == "as before the interruption"

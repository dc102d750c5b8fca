"""Where and how often the finished model is measured."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from lighten.measure.statistics import Interval
from lighten.pipeline import Clock
from lighten.recipe import parse_recipe
from lighten.tasks.job import Quality
from lighten.tasks.outcome import judged
from lighten.tasks.settings import settings_of
from lighten.train.parallel.strategy import Strategy
from lighten.train.precision import Precision


class Model:
    """Knows where it is; there is no room for it on a GPU unless `fits`."""

    def __init__(self, fits: bool = True) -> None:
        self.place, self.fits = "cpu", fits

    def to(self, device):
        self.place = torch.device(device).type
        if self.place == "cuda" and not self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self


def measured(model: Model, restored: bool, device: str = "cuda"):
    seen = []

    def judge(given, part, precision):
        seen.append((part, None if given is None else given.place, precision.name, precision.device))
        return Quality("accuracy", Interval(50.0, 40.0, 60.0), 10)

    def closing(given, found):
        seen.append(("closing", given.place, None, None))
        return found

    setup = SimpleNamespace(judge=judge, metric="accuracy", closing=closing)
    training = SimpleNamespace(
        strategy=Strategy(device=torch.device(device)), precision=Precision("bf16", "", torch.device(device).type)
    )
    judged(setup, training, SimpleNamespace(restored=restored), model)
    return seen


def test_the_test_part_is_judged_on_the_device_of_the_training():
    assert measured(Model(), False) == [
        ("validation", None, "bf16", "cuda"),
        ("test", "cuda", "bf16", "cuda"),
        ("closing", "cpu", None, None),
    ]
    assert [one[:2] for one in measured(Model(), True)] == [
        ("validation", "cuda"),
        ("test", "cuda"),
        ("closing", "cpu"),
    ]
    assert {one[1] for one in measured(Model(), True, "cpu")} == {"cpu"}


def test_a_model_that_does_not_fit_there_is_judged_on_the_cpu():
    assert measured(Model(fits=False), False)[1:] == [("test", "cpu", "fp32", "cpu"), ("closing", "cpu", None, None)]


@pytest.mark.parametrize("copies", [1, 4])
def test_time_is_kept_for_the_test_part_as_one_process_measures_it(recipe, copies):
    setup = SimpleNamespace(test_share=2.0, rate=1e-3, restore_margin=1.0)
    settings = settings_of(parse_recipe(recipe(), [], where="recipe"), setup, Clock(100.0), copies)
    assert settings.last_looks == 1 + 2.0 * copies

"""Labels outside the model's range: said with the label and the range, not as an index error of a kernel."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.helpers.tiny_training import TinyTask
from tests.helpers.training import FAST

from lighten.errors import InputError
from lighten.train.objectives import Classification, class_weights


@pytest.fixture(scope="module")
def task() -> TinyTask:
    return TinyTask(count=24)


@pytest.mark.parametrize("label", [2, 9, -1, -100])
def test_a_label_that_is_no_class_of_the_model(task, label):
    labels = task.labels.clone()
    labels[13] = label
    training = task.training(replace(FAST, epochs=1), objective=Classification(labels))
    with pytest.raises(InputError, match=rf"^label {label} is outside the model's 2 classes \(0 to 1\)$"):
        training.run()


@pytest.mark.parametrize("kind", ["balanced", "none"])
def test_weights_are_not_made_for_such_labels(kind):
    with pytest.raises(InputError, match="label 2 is outside the model's 2 classes"):
        class_weights(torch.tensor([0, 1, 2]), 2, kind)

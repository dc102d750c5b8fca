from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.compose.plan import Plan, arrange, control_of, read_steps
from lighten.compress.steps import Distil, Finetune, Layers, Quantise, Vocabulary
from lighten.errors import InputError
from lighten.pipeline import step_in_short, step_to_dict


def test_text_and_list_mean_the_same():
    wanted = [Layers(count=3), Vocabulary(size=8000), Distil(epochs=2), Quantise(format="int8")]
    assert read_steps("layers=3,vocabulary=8000,distil:epochs=2,int8", "here") == wanted
    specs = [{"layers": {"count": 3}}, "vocabulary=8000", step_to_dict(Distil(epochs=2)), "int8"]
    assert read_steps(specs, "here") == wanted


def test_a_leading_fine_tuning_makes_the_reference():
    first, rest = Finetune(epochs=1), [Layers(count=1), Finetune(epochs=2)]
    assert arrange([first, *rest], None) == Plan(first, tuple(rest))
    assert arrange([first, *rest], Finetune()) == Plan(first, tuple(rest))
    assert arrange(rest, Finetune()) == Plan(Finetune(), tuple(rest))
    assert arrange(rest, None) == Plan(None, tuple(rest))


def test_what_a_plan_knows_of_itself():
    plan = arrange(read_steps("finetune,layers=3,distil,int8", "here"), None)
    assert (plan.trainings, plan.taught, plan.layers_needed) == (2, True, 3)
    assert plan.short == "layers=3,distil,int8"
    assert [step["name"] for step in plan.to_dicts()] == ["finetune", "layers", "distil", "quantise"]
    other = arrange(read_steps("layers=3,vocabulary", "here"), None)
    assert (other.trainings, other.taught) == (0, False)


def test_the_control_learns_from_labels_alone():
    plan = arrange(read_steps("layers=1,distil:epochs=2,int8", "here"), None)
    control = control_of(plan)
    assert control is not None
    assert control.steps[0] == plan.steps[0] and control.steps[2] == plan.steps[2]
    assert control.steps[1] != plan.steps[1] and control.steps[1].epochs == 2
    assert control_of(arrange(read_steps("layers=1,int8", "here"), None)) is None


@given(st.permutations(["layers=1", "distil", "vocabulary", "int8"]))
def test_orders_that_cannot_work_are_refused(words):
    possible = words[-1] == "int8" and words[0] != "distil"
    text = ",".join(words)
    if possible:
        assert ",".join(step_in_short(step) for step in read_steps(text, "here")) == text
    else:
        with pytest.raises(InputError, match="here: "):
            read_steps(text, "here")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("static=16,layers=1", "only quantise may follow 'static=16', not 'layers=1'"),
        ("layers=1,static=16,distil", "only quantise may follow"),
        ("layers=1,ngrams,distil", "only quantise may follow 'ngrams', not 'distil'"),
        ("linear,int8", "must be the last step"),
        ("linear,distil", "must be the last step"),
    ],
)
def test_what_leaves_no_encoder_is_followed_by_no_step_that_needs_one(words, said):
    with pytest.raises(InputError, match=said):
        read_steps(words, "here")


def test_a_static_model_may_be_quantised():
    assert [step.name for step in read_steps("vocabulary,static=16,int8", "here")] == [
        "vocabulary",
        "static",
        "quantise",
    ]

"""Which features are matched, decided by shapes alone."""

from __future__ import annotations

import pytest

from lighten.compress.distil import Distil
from lighten.compress.features import Side, Wanted
from lighten.compress.fingerprint import fingerprint_of_texts
from lighten.compress.inner import inner_terms, plan_inner
from lighten.errors import InputError

BASE, SMALL, NARROW, LARGE = Side(12, 768, 12), Side(6, 768, 12), Side(4, 312, 12), Side(24, 1024, 16)


def test_equal_widths_match_the_last_states_and_nothing_else():
    plan = plan_inner(Distil(), SMALL, BASE)
    assert plan.last_states and not plan.any and not plan.demanded
    assert plan.wanted == Wanted(states=(-1,))
    assert not plan_inner(Distil(states_weight=0), SMALL, BASE).last_states


def test_other_widths_match_relations():
    plan = plan_inner(Distil(), NARROW, BASE)
    assert not plan.last_states and not plan.states and plan.relations == ((4, 12),) and not plan.demanded
    assert plan.wanted == Wanted(qkv=(12,))
    (term,) = inner_terms(Distil(), plan, NARROW, BASE, 0)
    assert term.heads == 24 and term.weight == 1.0
    assert plan_inner(Distil(), NARROW, LARGE).relations == ((4, 21),), "of deep teachers not the last layer"
    assert not plan_inner(Distil(relations=False), NARROW, BASE).any


def test_nothing_looks_at_queries_that_are_in_one_module_with_keys():
    fused = Side(6, 768, 12, apart=False)
    assert not plan_inner(Distil(), NARROW, fused).any and not plan_inner(Distil(), fused, LARGE).any
    assert plan_inner(Distil(), fused, BASE).last_states
    for student, teacher, who in ((NARROW, fused, "teacher"), (fused, LARGE, "student")):
        for step in (Distil(relations=True), Distil(attention_weight=1)):
            with pytest.raises(InputError, match=f"the {who}'s queries, keys and values are one module's"):
                plan_inner(step, student, teacher)
    with pytest.raises(InputError, match=r"steps\[1\]: attention_weight of 'distil' takes bert, .* is a modernbert"):
        Distil(attention_weight=1).check_model({"model_type": "modernbert"}, "steps[1]")
    Distil().check_model({"model_type": "modernbert"}, "steps[1]")


def test_everything_that_is_asked_for():
    step = Distil(layers="uniform", projection=True, relations=True, relation_layer=10, attention_weight=2.0)
    plan = plan_inner(step, NARROW, BASE)
    assert plan.states == plan.attention == ((1, 3), (2, 6), (3, 9), (4, 12))
    assert plan.relations == ((4, 10),) and plan.demanded == "states and attention maps and relations"
    assert plan.wanted == Wanted(states=(3, 6, 9, 12), qkv=(3, 6, 9, 10, 12))
    assert plan.layers == ([3, 6, 9, 12], [3, 6, 9, 10, 12])
    assert [term.weight for term in inner_terms(step, plan, NARROW, BASE, 0)] == [10.0, 1.0, 2.0]


def test_a_teacher_that_runs_beside_needs_no_cache_of_what_is_inside():
    step = Distil(online=True, relations=True, layers="uniform")
    assert plan_inner(step, SMALL, BASE).wanted == Wanted()
    assert plan_inner(Distil(online=True), SMALL, BASE).wanted == Wanted(states=(-1,)), "as without it"


def test_layers_of_no_use():
    with pytest.raises(InputError, match="step 'distil': layers: states 312 wide cannot be compared"):
        plan_inner(Distil(layers={1: 3}), NARROW, BASE)
    assert plan_inner(Distil(layers={1: 3}, attention_weight=1.0), NARROW, BASE).attention == ((1, 3),)


def test_texts_are_told_apart():
    assert fingerprint_of_texts(["ab", "c"]) != fingerprint_of_texts(["a", "bc"])
    assert fingerprint_of_texts(["a", "b"]) != fingerprint_of_texts(["b", "a"])
    assert fingerprint_of_texts(["a\udcff"]) == fingerprint_of_texts(["a\udcff"])

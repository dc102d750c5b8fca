from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from lighten.errors import InputError
from lighten.pipeline import step as module
from lighten.pipeline.step import Step, default_of, digest, search_space, step_from_spec, step_to_dict, steps_of


class Base(Step):
    family: ClassVar[str] = "test-family"


class Cut(Base):
    """Cut to a length."""

    name: ClassVar[str] = "cut"
    length: int = Field(default=4, ge=1, json_schema_extra={"search": [2, 4, 8]})
    ends: list[str] = Field(default_factory=list)


class Needs(Base):
    name: ClassVar[str] = "needs"
    version: ClassVar[int] = 3
    what: str


def test_the_base_is_not_registered_and_families_are_apart():
    assert steps_of("test-family") == {"cut": Cut, "needs": Needs}
    assert steps_of("nothing") == {}
    steps_of("test-family").clear()
    assert "cut" in steps_of("test-family")


def test_two_steps_of_one_name_are_refused():
    with pytest.raises(TypeError, match="'cut'"):

        class Other(Base):
            name: ClassVar[str] = "cut"


@pytest.mark.parametrize("spec", ["cut", {"cut": None}, {"cut": {}}, {"cut": {"length": 4}}, {"name": "cut"}, Cut()])
def test_every_spelling_means_the_same(spec):
    assert step_from_spec("test-family", spec, "here") == Cut()


@given(st.integers(1, 10**6), st.lists(st.text(max_size=5), max_size=4))
def test_a_step_comes_back_from_its_dict(length, ends):
    step = Cut(length=length, ends=ends)
    assert step_from_spec("test-family", step_to_dict(step), "here") == step
    assert digest(step_to_dict(step)) == digest(step_to_dict(Cut(length=length, ends=list(ends))))


def test_the_dict_names_step_and_version():
    assert step_to_dict(Needs(what="x")) == {"name": "needs", "version": 3, "what": "x"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("cutt", ["'cutt' is no step", "did you mean 'cut'?"]),
        ({"cut": {"lenght": 2}}, ["'lenght' is no field", "did you mean 'length'?"]),
        ({"cut": {"length": 0}}, ["length", "greater than or equal to 1", "got 0"]),
        ({"needs": {}}, ["what"]),
        ({"cut": 4}, ["a step is a name"]),
        ({"cut": {}, "needs": {}}, ["a step is a name"]),
        (7, ["a step is a name"]),
    ],
)
def test_faults_are_named_with_their_place(spec, words):
    with pytest.raises(InputError) as caught:
        step_from_spec("test-family", spec, "data.prepare.0")
    for word in ["data.prepare.0", *words]:
        assert word in str(caught.value)


def test_steps_are_frozen():
    with pytest.raises(ValidationError):
        Cut().length = 9


def test_search_space_and_defaults():
    assert search_space(Cut) == {"length": [2, 4, 8]}
    assert default_of(Cut, "length") == 4
    assert default_of(Cut, "ends") == []
    assert default_of(Needs, "what") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=5))
def test_digest_ignores_the_order_of_keys(value):
    assert digest(value) == digest(dict(reversed(value.items())))
    assert len(digest(value)) == 20


@given(JSON, JSON)
def test_digest_tells_values_apart(one, other):
    import json

    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest(one) == digest(other)) == same


def teardown_module():
    module._REGISTRY.pop("test-family", None)

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from lighten.errors import InputError
from lighten.pipeline.shorthand import read_short, split_plan, write_short
from lighten.pipeline.step import Step, plan_from_text, step_from_spec, step_in_short


class Base(Step):
    family: ClassVar[str] = "test-shorthand"


class Depth(Base):
    name: ClassVar[str] = "depth"
    short: ClassVar[str] = "count"
    count: int | list[int] = Field(default=1)
    map: str = "spread"


class Numbers(Base):
    name: ClassVar[str] = "numbers"
    aliases: ClassVar[dict[str, dict[str, Any]]] = {"int8": {"format": "int8"}, "int4": {"format": "int4"}}
    format: str = "int8"
    bits: int = 7


class Pattern(Base):
    name: ClassVar[str] = "pattern"
    short: ClassVar[str] = "shape"
    shape: str | float = "1:2"
    rate: float | None = None


def plan(text):
    return plan_from_text("test-shorthand", text, "--with")


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", []),
        ("depth", [Depth()]),
        ("depth=3", [Depth(count=3)]),
        (" depth = 3 , int8 ", [Depth(count=3), Numbers()]),
        ("depth=3:map=last,int4", [Depth(count=3, map="last"), Numbers(format="int4")]),
        ("int8:bits=8,depth", [Numbers(bits=8), Depth()]),
        ("int8:format=int8", [Numbers()]),
        ("depth=[0, 2, 5]:map=first", [Depth(count=[0, 2, 5], map="first")]),
        ("depth:count=2", [Depth(count=2)]),
        ("pattern=2:4", [Pattern(shape="2:4")]),
        ("pattern=2:4:rate=1e-4", [Pattern(shape="2:4", rate=1e-4)]),
        ("pattern:shape=2:4:rate=0.5", [Pattern(shape="2:4", rate=0.5)]),
        ("pattern=0.5", [Pattern(shape=0.5)]),
        ("pattern='a, b: c=d'", [Pattern(shape="a, b: c=d")]),
    ],
)
def test_what_is_meant(text, steps):
    assert plan(text) == steps


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("deepth=3", ["'deepth' is no step", "depth, int4, int8, numbers, pattern", "did you mean 'depth'?"]),
        ("int9", ["did you mean 'int8'?"]),
        ("depth=3,,int8", ["step 2", "is empty"]),
        ("depth=3,", ["step 2", "is empty"]),
        ("depth=", ["a value is missing"]),
        ("depth=3:last", ["count", "'3:last'"]),
        ("depth:last", ["expected field=value", "'last'"]),
        ("depth=3:mapp=last", ["'mapp' is no field", "did you mean 'map'?"]),
        ("depth=3:count=4", ["'count' twice"]),
        ("depth:map=a:map=b", ["'map' is there twice"]),
        ("depth=many", ["--with, step 'depth'"]),
        ("numbers=3", ["does not say which field 3 is for", "format, bits"]),
        ("int8:format=int4", ["'int8' means format='int8'", "'int4'"]),
        ("depth=[1", ["bracket does not close"]),
        ("pattern='x", ["quote does not close"]),
        ("=3", ["a step is word[=value]"]),
        ("Depth=3", ["a step is word[=value]"]),
        ("depth={a", ["bracket"]),
        ("pattern=@", ["not a YAML value"]),
    ],
)
def test_faults_say_what_and_where(text, words):
    with pytest.raises(InputError) as caught:
        plan(text)
    for word in ["--with", *words]:
        assert word in str(caught.value)


def test_a_recipe_may_say_it_in_short_too():
    assert step_from_spec("test-shorthand", "depth=2", "steps[0]") == Depth(count=2)
    assert step_from_spec("test-shorthand", {"int4": {"bits": 8}}, "steps[0]") == Numbers(format="int4", bits=8)
    assert step_from_spec("test-shorthand", {"int4": None}, "steps[0]") == Numbers(format="int4")


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Depth(count=3), "depth=3"),
        (Depth(count=3, map="last"), "depth=3:map=last"),
        (Numbers(), "int8"),
        (Numbers(format="int4", bits=8), "int4:bits=8"),
        (Pattern(shape="2:4", rate=0.5), "pattern=2:4:rate=0.5"),
    ],
)
def test_how_a_step_is_said(step, text):
    assert step_in_short(step) == text


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn", "Co", "Zl", "Zp")), max_size=8)
STEPS = st.one_of(
    st.builds(Depth, count=st.integers(-99, 10**6) | st.lists(st.integers(), max_size=4), map=TEXTS),
    st.builds(Numbers, format=st.sampled_from(["int8", "int4", "other"]), bits=st.integers()),
    st.builds(
        Pattern, shape=st.floats(allow_nan=False) | TEXTS, rate=st.none() | st.floats(-1e9, 1e9, allow_nan=False)
    ),
)


@given(st.lists(STEPS, max_size=5))
def test_every_plan_comes_back_from_its_short_form(steps):
    assert plan(",".join(step_in_short(step) for step in steps)) == steps


@given(st.text("abc=:,[]{}'\" 01\\-#&*!|>%@`", max_size=20))
def test_any_text_is_read_or_refused(text):
    try:
        for part in split_plan(text, "here"):
            short = read_short(part, "here")
            write_short(short.word, short.fields)
    except InputError as error:
        assert "here" in str(error)

"""Patterns: their ranges, the notation per layer, the note in config.json."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.errors import InputError
from lighten.models.attention.pattern import Pattern, check, from_note, patterns_of, per_layer, to_note


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"window": 0}, "window must be a whole number of at least 1, not 0"),
        ({"window": -3}, "at least 1, not -3"),
        ({"window": 2.5}, "not 2.5"),
        ({"window": True}, "not True"),
        ({"window": "64"}, "not '64'"),
        ({"globals_": -1}, "globals must be a whole number of at least 0, not -1"),
        ({"dilation": 0}, "dilation must be"),
        ({"random_blocks": -1}, "random_blocks must be"),
        ({"block": 0}, "block must be"),
        ({"dilation": 2, "random_blocks": 1}, "exclude each other"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Pattern(**values)


def test_a_pattern_must_suit_its_texts() -> None:
    check(Pattern(window=5000, globals_=1), tokens=10, prefix=1)
    with pytest.raises(InputError, match="11 global tokens are more than the 10"):
        check(Pattern(globals_=11), tokens=10)
    with pytest.raises(InputError, match="2 global tokens go beyond the prefix of 1"):
        check(Pattern(globals_=2), prefix=1)
    with pytest.raises(InputError, match="tokens must be at least 1, not 0"):
        check(Pattern(), tokens=0)


def test_the_notation_is_repeated_over_the_layers() -> None:
    assert "".join(per_layer("LLG", 7)) == "LLGLLGL"
    assert "".join(per_layer("LLG", 7, last_global=True)) == "LLGLLGG"
    assert "".join(per_layer("LLGG", 2)) == "LL"
    for notation, says in (("", "found nothing"), ("LXG", "found 'X'"), ("llg", "found 'g'")):
        with pytest.raises(InputError, match=says):
            per_layer(notation, 3)
    with pytest.raises(InputError, match="at least 1 layer"):
        per_layer("L", 0)


@given(
    st.builds(Pattern, window=st.integers(1, 9999), globals_=st.integers(0, 99), dilation=st.integers(1, 9)),
    st.text("LG", min_size=1, max_size=9),
)
def test_the_note_says_it_all(pattern: Pattern, layers: str) -> None:
    assert from_note(to_note(pattern, layers)) == (pattern, layers)


def test_patterns_of_every_layer() -> None:
    pattern = Pattern(window=8, random_blocks=1)
    found = patterns_of({"lighten_attention": to_note(pattern, "LG")}, 3)
    assert found == (pattern, None, pattern.of_layer(2)) and found[0] != found[2]
    assert patterns_of({}, 2) == (None, None)
    assert Pattern(3).of_layer(5) == Pattern(3) and Pattern(3, dilation=4).reach == 12


@pytest.mark.parametrize(
    ("note", "says"),
    [
        ("L", "must be a mapping"),
        ({"windw": 3}, "did you mean 'window'"),
        ({"window": 0}, "at least 1"),
        ({"layers": 3}, "layers must be letters"),
        ({"layers": "LQ"}, "found 'Q'"),
    ],
)
def test_a_note_without_sense_is_refused(note: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        from_note(note)

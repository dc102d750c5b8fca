"""What is left out of sight of ftfy changes nothing in what it makes of a text."""

import ftfy
import pytest
from ftfy.badness import BADNESS_RE
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lighten.data import mojibake
from lighten.data.mojibake import repair

PLAIN = "the quick brown fox jumps over the lazy dog while nobody looks; "
ODD = [
    "\u00e9",
    "\u2019",
    "\u00c3 ",
    "\u00c2 ",
    "voil\u00c3 le",
    "\u00c3 quele",
    "\u00e2\u20ac\u0153",
    "\u00e2\u20ac\u2122s",
    "\u00e2\u20ac\ufffd",
    "\u00e3  ",
    "\u00f0 ",
    "\x85",
    "\x1a",
    "\0",
    "\u00c0\u20ac",
    "\u4e2d\u6587",
    "\u0440\u045f",
    "\u20ac",
    "\u00dc\u00bc",
    "\u0153",
]


def mangled(text, encoding, times):
    for _ in range(times):
        text = text.encode().decode(encoding, "replace")
    return text


NATURAL = st.sampled_from(
    [
        "caf\u00e9 ",
        "\u201cwell\u201d ",
        "it\u2019s ",
        "\u00e0 la ",
        "na\u00efve",
        "\u20ac5 ",
        "\u4e2d\u6587",
        "\U0001f600",
    ]
)
PIECES = st.one_of(
    st.builds(lambda length: (PLAIN * 3)[:length], st.integers(0, 150)),
    st.sampled_from(ODD),
    st.builds(mangled, NATURAL, st.sampled_from(["cp1252", "latin-1", "cp1251", "cp437"]), st.integers(0, 3)),
    st.text(max_size=4),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=8).map("".join))
@example("\u00c2 " + PLAIN)
@example(PLAIN + "\u00c3 " + PLAIN)
@example(PLAIN * 2 + mangled("caf\u00e9", "cp1252", 3) + PLAIN * 2)
@example(PLAIN + "\u00c3 quele" + PLAIN + "\u00e2\u20ac\ufffd" + PLAIN)
@example(PLAIN + "\u00e3\u00c0\u20ac " + PLAIN + "\u00e9" + PLAIN)
def test_it_repairs_what_ftfy_repairs(text):
    assert repair(text) == ftfy.fix_encoding(text)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_a_whole_text_is_repaired(encoding, times):
    text = "".join(f"{PLAIN}caf\u00e9 \u201cwell {number}\u201c " for number in range(9))
    broken = mangled(text, encoding, times)
    assert repair(broken) == ftfy.fix_encoding(broken) != broken


def test_ftfy_sees_little_of_a_long_text(monkeypatch):
    seen = []
    monkeypatch.setattr(ftfy, "fix_encoding", lambda text: seen.append(text) or text)
    text = PLAIN * 50 + "\u00e9" + PLAIN * 50
    assert repair(text) == text and repair(PLAIN) == PLAIN
    assert len(seen) == 1 and len(seen[0]) < 100


def test_what_comes_too_near_to_the_hidden_part_is_repaired_as_a_whole(monkeypatch):
    seen = []
    monkeypatch.setattr(ftfy, "fix_encoding", lambda text: seen.append(text) or text.replace("the", "THE"))
    text = "\u00e9 the quick fox" + PLAIN
    assert repair(text) == text.replace("the", "THE")
    assert len(seen) == 2 and seen[1] == text


def test_no_rule_of_ftfy_looks_further_than_is_shown():
    import re._parser as parser

    found = [
        pattern
        for module in (ftfy.badness, ftfy.chardata, ftfy.fixes)
        for name, pattern in vars(module).items()
        if name in ("BADNESS_RE", "ALTERED_UTF8_RE", "LOSSY_UTF8_RE", "C1_CONTROL_RE")
    ]
    assert BADNESS_RE in found and len(found) >= 4
    assert all(parser.parse(pattern.pattern, pattern.flags).getwidth()[1] <= 7 for pattern in found)
    assert mojibake._BEHIND > mojibake._SEEN_BEHIND >= 7

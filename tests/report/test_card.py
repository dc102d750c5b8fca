from __future__ import annotations

import re

import pytest
from tests.report.sample import HOSTILE, bare_result, infeasible_result, sample_result

from lighten.report.card import card, escape


def test_the_card_holds_the_figures_and_how_to_use_it():
    text = card(sample_result())
    assert "| Latency, p95 | 1.78 ms | 7.3 ms |" in text
    assert "| Quality | 82.8 points (81.2 to 84.3) | 84.9 points (83.3 to 86.4) |" in text
    assert "lighten.load" in text
    assert "1,904 rows of the test split, which was read once" in text
    assert "does not fit" not in text


def test_fewer_threads_than_the_target_has_are_told():
    result = sample_result()
    assert "on 2 threads. Quality" in card(result)
    result["chosen"]["metrics"]["latency_ms"]["threads"] = 1
    assert "on 2 threads (this model with 1: it answers sooner so). Quality" in card(result)


def test_a_nearest_miss_says_so():
    assert "**This model does not fit its budget.**" in card(infeasible_result())


def test_a_bare_result_has_a_card():
    assert "No model fits" in card(bare_result())


def test_tables_have_equal_rows():
    for make in (sample_result, infeasible_result):
        rows = [line for line in card(make()).splitlines() if line.startswith("|")]
        assert len(rows) > 4
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}


@pytest.mark.parametrize("text", [HOSTILE, "a | b", "`x`\n# y", "[a](b) ![c](d)", "*b* _i_"])
def test_markup_in_text_is_escaped(text):
    shown = escape(text)
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)[<>|`*_\[\]#]", shown)
    assert re.sub(r"\\(.)", r"\1", shown) == " ".join(text.split())


def test_a_hostile_label_stays_text():
    result = sample_result()
    result["data"]["labels"] = [HOSTILE]
    result["name"] = HOSTILE
    assert "<script" not in card(result).replace("\\<script", "")

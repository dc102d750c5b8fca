from __future__ import annotations

import pytest

from lighten.measure.summaries import baselines, compare_summaries, table, usual_length

TEXTS = ["One cat sat. Two dogs ran. Both cats and dogs sat."] * 3 + ["Rain fell. Snow fell. Hail came."]
REFERENCES = ["One cat sat."] * 3 + ["Snow fell."]


def test_baselines_are_sentences_of_the_text() -> None:
    made = baselines(TEXTS, 3)
    assert made["lead"] == ["One cat sat."] * 3 + ["Rain fell."]
    assert made["textrank"][0] == "Both cats and dogs sat."


def test_the_first_system_is_compared_with_the_others() -> None:
    found = compare_summaries(TEXTS, REFERENCES, {"model": REFERENCES}, 2, 0)
    assert found["documents"] == 4
    assert list(found["systems"]) == ["model", "lead", "textrank"]
    model, lead = found["systems"]["model"], found["systems"]["lead"]
    assert model["rouge1"] == {"value": 100, "ci95": [100, 100]}
    assert model["words"] == 2.8
    assert lead["rouge1"]["value"] == 87.5  # 3 of 4 are the reference, of the last one word of two
    assert lead["rouge1"]["ahead"] == 12.5
    assert lead["rouge1"]["ahead_ci95"][0] == 0
    assert table(found)[0] == ("model", ["100.0 (100.0 to 100.0)"] * 4)


def test_the_same_seed_gives_the_same_intervals() -> None:
    systems = {"model": ["cat sat", "dogs", "", "snow"]}
    assert compare_summaries(TEXTS, REFERENCES, systems, 6, 5) == compare_summaries(TEXTS, REFERENCES, systems, 6, 5)


def test_the_usual_length_is_the_median() -> None:
    assert usual_length(["A b.", "A b. C d. E f.", "A b. C d."]) == 4
    assert usual_length([""]) == usual_length([]) == 1


def test_a_summary_per_document_is_needed() -> None:
    with pytest.raises(ValueError, match="a reference for each"):
        compare_summaries(TEXTS, REFERENCES[:1], {}, 1, 0)

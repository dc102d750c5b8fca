"""The sections "Why this one" and "Which predictions flipped" of the page."""

from __future__ import annotations

import copy

import pytest
from tests.report.explained_sample import explained_result, write_run
from tests.report.sample import HOSTILE, bare_result, infeasible_result, sample_result
from tests.report.test_page import Page

from lighten import report
from lighten.report.choice_words import other_words, rule_words
from lighten.report.explanation import explain_result
from lighten.report.flips import Row, count_flips


def text_of(html):
    page = Page(html)
    assert page.open == []
    return " ".join("".join(page.text).split())


@pytest.mark.parametrize("make", [explained_result, sample_result, infeasible_result, bare_result])
def test_the_page_says_what_the_command_says(make):
    result = make()
    why, text = explain_result(result)["why"], text_of(report.render(result))
    assert "Why this one" in text
    assert rule_words(why) in text
    for one in why["others"]:
        assert other_words(one, why, result["budget"]) in text


def test_the_frontier_has_a_row_each_with_intervals():
    text = text_of(report.render(explained_result()).replace("</", " </").replace("<span", " <span"))
    assert "at least as good in quality, latency and size together" in text
    assert "student-2L-12k-int8 83.4 81.8 to 84.9 1.78 1.71 to 1.87 8.8" in text


def test_flips_are_shown_with_their_texts_and_nothing_of_them_runs(tmp_path):
    html = report.write(write_run(tmp_path)).read_text()
    page = Page(html)
    text = "".join(page.text)
    assert "Which predictions flipped" in text
    assert f"broken 0 {HOSTILE}" in text
    assert "Texts of fresh" in text and "Texts of rotten" in text
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert not any(tag == "img" for tag, _ in page.tags)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)


def test_labels_and_texts_of_the_data_are_inert():
    rows = [Row(HOSTILE, 0, 1), Row(HOSTILE, 1, 2)]
    flips = count_flips([HOSTILE, "b"], rows, [0, 0], [1, 1])
    page = Page(report.render(explained_result(), flips=flips))
    assert page.open == []
    assert not any(tag == "img" for tag, _ in page.tags)
    assert HOSTILE in "".join(page.text)


def test_names_in_the_frontier_are_inert():
    result = explained_result()
    for one in result["frontier"]:
        one["name"] = one["reason"] = HOSTILE
        one["ties"], one["simpler"] = [HOSTILE], HOSTILE
    page = Page(report.render(result))
    assert page.open == [] and not any(tag == "img" for tag, _ in page.tags)


def test_long_texts_are_cut_and_many_classes_bounded():
    labels = [f"label {i}" for i in range(100)]
    rows = [Row("word " * 1000, i, i) for i in range(100)]
    flips = count_flips(labels, rows, list(range(100)), [0] * 100)
    html = report.render(explained_result(), flips=flips)
    assert len(html) < 400_000
    assert "word " * 200 not in html


def test_a_folder_without_predictions_still_gets_its_page(tmp_path):
    run = write_run(tmp_path)
    (run / "predictions.json").unlink()
    text = text_of(report.write(run).read_text())
    assert "Not shown: the recorded answers or the test split are missing" in text
    assert str(tmp_path) not in text


def test_nothing_delivered_has_no_flips():
    html = report.render(bare_result())
    assert "Which predictions flipped" not in html


def test_rendering_changes_no_result():
    result = explained_result()
    before = copy.deepcopy(result)
    report.render(result)
    assert result == before

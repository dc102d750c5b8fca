from __future__ import annotations

import json
import re

import pytest
from tests.report.sample import HOSTILE, sample_result
from tests.report.test_page import Page
from tests.report.training_sample import bare_training, hostile_training, language_result, training_result

from lighten import report
from lighten.errors import InputError

RESULTS = [training_result, language_result, bare_training, hostile_training]


def _text(result):
    return " ".join(" ".join(Page(report.render_training(result)).text).split())


@pytest.mark.parametrize("make", RESULTS)
def test_the_page_is_well_formed_and_every_link_stays_inside(make):
    page = Page(report.render_training(make()))
    assert page.open == []
    assert page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.parametrize("make", RESULTS)
def test_the_page_asks_for_nothing_and_runs_nothing(make):
    html = report.render_training(make())
    page = Page(html)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "video", "audio"}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "url(" not in html
    assert "@import" not in html
    assert all(link.startswith("http://evil.example") for link in re.findall(r"https?://[^\s\"'<]*", html))
    policy = next(tag["content"] for name, tag in page.tags if tag.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_text_from_data_is_inert():
    assert HOSTILE in "".join(Page(report.render_training(hostile_training(), {HOSTILE: HOSTILE})).text)


def test_a_classifier_under_a_clock():
    text = _text(training_result())
    for word in (
        "Trained inside the clock",
        "83.9 points of accuracy on validation",
        "It used 4 min 58 s of the 5 min 00 s given (99.5%).",
        "82.1 to 85.6",
        "sealed test 82.7 points 81.0 to 84.3 1,914",
        "11,340",
        "2.1% of the computed tokens",
        "fp32: a bf16 matrix product takes 212.00 times",
        "none, 1 process: one process",
        "512 tokens at a time",
        "2.4 s (0.8% of the time)",
        "out of memory: micro-batches of 512 tokens",
        "peak memory 812 MB 845.5 MB -4%",
        "time 5 min 00 s 4 min 58 s +1%",
        "activations 300 MB",
        "12,808 rows were read",
        "into 128 tokens",
        "long: truncate",
        "train 4 210",
        "parallel.kind none",
        "lighten train examples/train-reviews.yaml",
        "task: text-classification",
    ):
        assert word in text, word


def test_the_clock_decides_the_badge():
    result = training_result()
    result["clock"]["used_seconds"] = 306.0  # two percent over is inside
    assert "Trained inside the clock" in _text(result)
    result["clock"]["used_seconds"] = 306.1
    assert "Over the clock" in _text(result)


def test_a_language_model_without_clock_or_prediction():
    text = _text(language_result())
    for word in (
        "Perplexity 61.23 on validation.",
        "validation 61.23 59.9 to 62.7 900",
        "the recipe sets no clock",
        "Nothing went wrong on the way",
        "a whole step at a time",
        "perplexity on validation (right)",
        "its number of epochs",
        "There was no prediction.",
    ):
        assert word in text, word
    assert " points" not in text
    assert "sealed test" not in text


def test_a_falling_perplexity_is_drawn_falling():
    html = report.render_training(language_result())
    heights = [float(y) for y in re.findall(r'class="valid-dot" cx="[\d.]+" cy="([\d.]+)"', html)]
    assert len(heights) == 12  # once for wide screens, once for narrow ones
    assert heights[:6] == sorted(heights[:6])  # pixels grow downwards
    assert "Validation, perplexity: from 169 to 62.6." in html


def test_write_puts_the_page_and_the_verb_report_finds_it(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(training_result()))
    (tmp_path / "environment.json").write_text('{"locale": "en"}')
    assert report.write_training(tmp_path) == tmp_path / "report.html"
    first = (tmp_path / "report.html").read_text()
    assert "locale" in first
    (tmp_path / "report.html").unlink()
    assert report.write(tmp_path / "result.json") == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text() == first


def test_a_build_is_no_training(tmp_path):
    with pytest.raises(InputError, match="no result here"):
        report.write_training(tmp_path)
    (tmp_path / "result.json").write_text(json.dumps(sample_result()))
    with pytest.raises(InputError, match="of a build"):
        report.write_training(tmp_path)


def test_the_page_is_small():
    assert len(report.render_training(training_result()).encode()) < 60_000

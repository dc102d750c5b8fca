from __future__ import annotations

import json
import re

import jsonschema
import pytest
from tests.report.compression_sample import bare_compression, compression_result, hostile_compression
from tests.report.sample import HOSTILE, sample_result
from tests.report.test_page import Page
from tests.report.training_sample import training_result

from lighten import report
from lighten.errors import InputError
from lighten.pipeline.compression_result import compression_json_schema, is_compression, read_compression
from lighten.report.compression_words import step_rows

RESULTS = [compression_result, bare_compression, hostile_compression]


def _text(result):
    return " ".join(" ".join(Page(report.render_compression(result)).text).split())


@pytest.mark.parametrize("make", RESULTS)
def test_samples_follow_the_schema_and_the_page_is_well_formed(make):
    jsonschema.validate(make(), compression_json_schema())
    html = report.render_compression(make())
    page = Page(html)
    assert page.open == []
    assert page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert len(page.ids) == len(set(page.ids))
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert all(link.startswith("http://evil.example") for link in re.findall(r"https?://[^\s\"'<]*", html))
    policy = next(tag["content"] for name, tag in page.tags if tag.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "script-src" not in policy


def test_text_from_data_is_inert():
    assert HOSTILE in "".join(Page(report.render_compression(hostile_compression(), {HOSTILE: HOSTILE})).text)


def test_what_each_step_bought_is_on_the_page():
    text = _text(compression_result())
    for word in (
        "81.7% on the sealed test",
        "4.8× as fast as the reference, batch 1 4.7 to 4.9",
        "0.6 points lost on the sealed test",
        "prune=2:4 ONNX Runtime does not run it faster",
        "-22.2 (-23.7 to -20.8)",
        "-48%",  # of the latency, by three layers of six
        "kept 1, 3, 5",
        "4 min 00 s",
        "Control: the same student without a teacher has 79.9 points on the sealed test; with it +1.8 (+0.3 to +3.2)",
        "Within the budget",
        "at most 20 MB",
        "lighten compress models/reviews",
    ):
        assert word in text, word
    bare = _text(bare_compression())
    assert "Over the budget" in bare and "NOT MET" in bare and "The model as it was given." in bare


def test_changes_are_relative_to_the_step_before():
    rows = step_rows(compression_result())
    assert rows[0]["bars"]["size_mb"] == {"value": 91.3, "share": 1.0, "change": None}
    assert rows[1]["bars"]["latency_ms"]["change"] == pytest.approx(3.3 / 6.3 - 1)
    assert rows[4]["bars"]["size_mb"]["share"] == pytest.approx(17.3 / 91.3)
    assert step_rows(bare_compression())[1]["bars"]["peak_memory_mb"]["value"] is None


def test_the_page_is_written_by_the_one_command(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(compression_result()))
    assert report.write(tmp_path) == tmp_path / "report.html"
    assert "reviews-compressed" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("make", "words"), [(training_result, "of a training"), (sample_result, "of a build")])
def test_other_results_are_called_what_they_are(tmp_path, make, words):
    (tmp_path / "result.json").write_text(json.dumps(make()))
    assert not is_compression(tmp_path)
    with pytest.raises(InputError, match=f"not the result of a compression: it is {words}"):
        read_compression(tmp_path)

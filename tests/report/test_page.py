from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from tests.report.sample import HOSTILE, bare_result, infeasible_result, sample_result

from lighten import report
from lighten.errors import InputError


class Page(HTMLParser):
    """Collects tags, what they point at, and the visible text."""

    VOID = ("meta", "link", "img", "br", "input", "line", "rect", "path", "circle")

    def __init__(self, html):
        super().__init__()
        self.tags, self.links, self.ids, self.open, self.scripts, self.text = [], [], [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        for key, value in attrs:
            if key in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                self.links.append(value)
            if key == "id":
                self.ids.append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.text.append(data)


@pytest.fixture(params=[sample_result, infeasible_result, bare_result])
def html(request):
    return report.render(request.param())


def test_the_page_is_well_formed_and_every_link_stays_inside(html):
    page = Page(html)
    assert page.open == []
    assert page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert len(page.ids) == len(set(page.ids))


def test_the_page_asks_for_nothing(html):
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "video",
        "audio",
    }
    assert "url(" not in html
    assert "@import" not in html
    assert "fetch(" not in html
    outside = re.findall(r"https?://[^\s\"'<]*", html)
    assert all(address.startswith("http://evil.example") for address in outside)  # only inside the hostile text
    policy = next(tag["content"] for name, tag in page.tags if tag.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    script = hashlib.sha256("".join(page.scripts).encode()).digest()
    assert f"'sha256-{base64.b64encode(script).decode()}'" in policy
    assert "script-src 'unsafe-inline'" not in policy


def test_text_from_data_is_inert():
    result = sample_result()
    for place in (result, result["chosen"], result["candidates"][3], result["steps"][1], result["training"][0]):
        for key in ("name", "sentence", "rung", "reason", "step", "reproduce", "precision"):
            if isinstance(place.get(key), str):
                place[key] = HOSTILE
    result["data"]["labels"] = [HOSTILE]
    result["data"]["splits"]["train"]["by_label"] = {HOSTILE: 3}
    result["data"]["leaks"] = {HOSTILE: HOSTILE}
    result["machine"] = {HOSTILE: HOSTILE}
    result["recipe"] = {HOSTILE: [HOSTILE]}
    result["versions"] = {"lighten": HOSTILE}
    page = Page(report.render(result, {HOSTILE: HOSTILE}))
    assert page.open == []
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert not any(tag == "img" for tag, _ in page.tags)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert HOSTILE in "".join(page.text)


def test_a_verdict_that_fits():
    text = " ".join("".join(Page(report.render(sample_result())).text).split())
    for word in (
        "Fits the budget",
        "2-layer int8 student fits",
        "4.1",
        "3.9 to 4.3",
        "44% of the limit",
        "training failed",
    ):
        assert word in text
    assert "nearest miss" not in text.lower()


def test_a_verdict_that_does_not_fit():
    text = " ".join("".join(Page(report.render(infeasible_result())).text).split())
    for word in (
        "Does not fit",
        "The limit that binds is latency, p95",
        "nearest miss is student-1L-12k-int8",
        "96% over the limit",
    ):
        assert word in text
    assert "not measured" in text


def test_every_candidate_has_its_row():
    page = Page(report.render(sample_result()))
    text = "".join(page.text)
    for one in sample_result()["candidates"]:
        assert one["name"] in text
    assert "Over the size limit, so it was never trained." in text


def test_the_page_is_small():
    assert len(report.render(sample_result()).encode()) < 120_000


def test_write_puts_page_and_card(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(sample_result()))
    (tmp_path / "environment.json").write_text(json.dumps({"kernel": "a-kernel"}))
    page = report.write(tmp_path)
    assert page == tmp_path / "report.html"
    assert "a-kernel" in page.read_text()
    assert not (tmp_path / "model").exists()
    (tmp_path / "model").mkdir()
    assert report.write(tmp_path / "result.json") == page
    assert (tmp_path / "model" / "README.md").read_text().startswith("# reviews\n")


def test_write_needs_a_result(tmp_path):
    with pytest.raises(InputError, match="no result"):
        report.write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_many_untrained_shapes_are_folded_away():
    result = sample_result()
    shape = next(one for one in result["candidates"] if one["status"] == "cost_only")
    assert "never trained</summary>" not in report.render(result)
    result["candidates"] += [{**shape, "name": f"shape-{index}"} for index in range(20)]
    html = report.render(result)
    assert "23 shapes that were costed and never trained</summary>" in html
    assert Page(html).open == []
    assert all(f"shape-{index}" in html for index in range(20))

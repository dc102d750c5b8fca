from __future__ import annotations

import copy
import re
from html.parser import HTMLParser

import pytest

from lighten.report import render_attention, write_attention


def point(kind, what, tokens, seconds, peak, skipped=None):
    row = {"kind": kind, "what": what, "tokens": tokens, "seconds": seconds, "peak_mb": peak, "skipped": skipped}
    return row | {"seconds_low": seconds, "seconds_high": seconds and seconds * 2, "calls": 3, "rounds": 3}


POINTS = [
    point(kind, what, tokens, 1e-6 * tokens**power, 400 + 1e-4 * tokens**power)
    for kind, power in (("full", 2), ("window", 1))
    for what in ("forward", "training")
    for tokens in (512, 1024, 2048)
] + [point("full", "training", 4096, None, None, "memory: about <20> GB needed")]
DOCUMENT = {
    "schema": 1,
    "sentence": "At 2,048 tokens <b>window</b> is faster",
    "model": {"source": None, "type": "bert", "layers": 6, "hidden": 384, "heads": 12, "intermediate": 1536},
    "window": 64,
    "batch": 1,
    "threads": 2,
    "seed": 0,
    "rounds": 3,
    "seconds": 130.0,
    "what": ["forward", "training"],
    "tokens": [512, 1024, 2048, 4096],
    "kinds": {"full": "full attention", "window": "sliding window"},
    "points": POINTS,
    "slopes": [
        {"kind": "full", "what": "training", "slope": 2.0, "ci95": [1.9, 2.1], "from": 512, "to": 2048, "points": 3},
        {"kind": "window", "what": "forward", "slope": 1.0, "ci95": None, "from": 512, "to": 1024, "points": 2},
    ],
    "machine": {"cpu": "a cpu", "cores": 2, "packages": {"torch": "2.13.0"}},
}


class Checker(HTMLParser):
    VOID = ("meta", "line", "circle", "path", "br")

    def __init__(self):
        super().__init__()
        self.open, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        assert not {"src", "onclick"} & {name for name, _ in attributes}

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        assert self.open.pop() == tag


def test_the_page_is_whole_offline_and_escaped(tmp_path):
    page = write_attention(DOCUMENT, tmp_path / "attention.html").read_text()
    checker = Checker()
    checker.feed(page)
    assert not checker.open and "script" not in checker.tags
    assert not re.search(r"https?://", page)
    assert "<b>window</b>" not in page and "&lt;b&gt;window" in page
    assert "about &lt;20&gt; GB needed" in page


def test_every_number_and_curve_is_there():
    page = render_attention(DOCUMENT)
    assert page.count("<figure") == 4
    assert page.count("<circle") == 24
    assert "2.00 (1.90 to 2.10) from 512 to 2,048" in page
    assert "1.00 from 512 to 1,024" in page
    assert "Forward and backward: peak memory in MB" in page
    for tokens in ("512", "1,024", "2,048"):
        assert f">{tokens}</text>" in page


@pytest.mark.parametrize("left", [0, 1])
def test_few_points_still_make_a_page(left):
    document = copy.deepcopy(DOCUMENT)
    document["points"] = document["points"][:left]
    document["slopes"] = []
    page = render_attention(document)
    assert page.count("<figure") == 2 * left and "nan" not in page

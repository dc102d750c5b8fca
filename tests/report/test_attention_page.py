from __future__ import annotations

import copy
import re
from html.parser import HTMLParser

import pytest

from lighten.report import render_attention, write_attention
from lighten.report.attention_plots import write_picture


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


def judged_row(kind, tokens, value, **changes):
    row = {"kind": kind, "tokens": tokens, "agreement": value, "agreement_low": value, "agreement_high": 1.0}
    row |= {"first_cosine": 0.8765, "difference": 0.2, "texts": 4, "not_judged": None}
    return row | changes


def with_quality(**changes):
    nothing = dict.fromkeys(("agreement", "agreement_low", "agreement_high", "first_cosine", "difference", "texts"))
    rows = [judged_row("window", 512, 0.5), judged_row("window", 1024, -0.25)]
    rows.append(judged_row("window", 2048, None, **nothing, not_judged="time: about <9> s needed"))
    rows.append(judged_row("window", 4096, None, **nothing, not_judged="full attention was not measured"))
    lengths = [
        {"tokens": 512, "texts": 4, "joined": 0, "first_other": 0.4},
        {"tokens": 1024, "texts": 2, "joined": 1, "first_other": 0.6},
        {"tokens": 2048, "texts": 0, "joined": 0, "first_other": None},
    ]
    texts = {"source": "my <rows>.csv", "kind": "rows"}
    quality = {"weights": "m", "texts": texts, "positions": 512, "left_out": None, "lengths": lengths, "rows": rows}
    return {**DOCUMENT, "quality": quality | changes}


def test_agreement_is_plotted_written_and_explained():
    page = render_attention(with_quality())
    assert page.count("<figure") == 5 and page.count("<circle") == 26
    for words in (
        "0.500",
        "-0.250",
        "first token 0.876",
        "0.500 to 1.000",
        "window, 1,024 tokens: -0.25",
        'id="quality"',
    ):
        assert words in page, words
    for note in (
        "2 to 4 texts of each length from my &lt;rows&gt;.csv",
        "1 of 2 at 1,024 tokens",
        "it is 0.400 to 0.600",
    ):
        assert note in page, note
    assert "The model was made for 512 tokens" in page and "random tokens" not in page
    assert "about &lt;9&gt; s needed" in page
    # Time was left out there too, and is said in its own section.
    assert "full attention was not measured" not in page
    checker = Checker()
    checker.feed(page)
    assert not checker.open


def test_random_tokens_and_no_agreement_are_said():
    page = render_attention(with_quality(texts={"source": None, "kind": "random tokens"}, positions=4096))
    assert "random tokens, which are no text" in page and "was made for" not in page
    page = render_attention(with_quality(rows=[], lengths=[], left_out="name a model with --model"))
    assert "Not judged: name a model with --model." in page and page.count("<figure") == 4
    assert 'id="quality"' not in render_attention(DOCUMENT)


def test_the_picture_stands_alone_and_is_well_formed(tmp_path):
    import xml.etree.ElementTree as tree

    root = tree.fromstring(write_picture(DOCUMENT, tmp_path / "attention.svg").read_text())
    name = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{name}svg" and root.find(f"{name}title").text == DOCUMENT["sentence"]
    measured = [row for row in POINTS if row["seconds"]]
    assert len(list(root.iter(f"{name}circle"))) == 2 * len(measured)  # time and memory
    texts = [text.text for text in root.iter(f"{name}text")]
    assert "window: sliding window" in texts and "Forward: seconds" in texts and "2,048" in texts
    _, _, width, height = map(float, root.get("viewBox").split())
    for circle in root.iter(f"{name}circle"):
        assert 0 < float(circle.get("cx")) < width / 2 and 0 < float(circle.get("cy")) < height
    assert "var(" not in tree.tostring(root, encoding="unicode")

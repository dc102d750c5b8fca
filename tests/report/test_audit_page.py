import copy
import re
from html.parser import HTMLParser

import pytest

from lighten.report import render_audit, write_audit

DOCUMENT = {
    "schema": 1,
    "kind": "audit",
    "sentence": "5 rows, 2 labels; 1 duplicates",
    "columns": {"text": "text", "label": "label"},
    "model": None,
    "parts": {
        "train": {"rows": 5, "usable": 4, "empty_text": 1, "missing_label": 0},
        "test": {"rows": 2, "usable": 2, "empty_text": 0, "missing_label": 0},
    },
    "labels": {
        "counts": {"train": {"good": 3, "bad": 1}, "test": {"good": 1, "worse": 1}},
        "majority_share": 0.75,
        "imbalance": 3.0,
        "effective": 1.75,
        "rare": ["good", "bad"],
        "unseen": {"worse": 1},
    },
    "duplicates": {
        "threshold": 0.55,
        "exact": {
            "rows": 1,
            "examples": [
                {"rows": [2, 3], "score": 1.0, "texts": ["<b>x</b>", "<B>x</B>"], "labels": ["good", "good"]}
            ],
        },
        "near": {"rows": 0, "thresholds": {"0.45": 2, "0.55": 1}, "examples": []},
        "conflicts": {"rows": 0, "examples": []},
    },
    "leaks": {"threshold": 0.55, "between": [{"parts": ["train", "test"], "exact": 1, "near": 0, "examples": []}]},
    "lengths": {
        "unit": "tokens",
        "limit": 5,
        "parts": {
            "train": {
                "min": 1,
                "median": 2.0,
                "mean": 2.5,
                "p95": 6.0,
                "p99": 7.0,
                "max": 7,
                "over_limit": 1,
                "histogram": [[0, 2, 3], [3, 5, 0], [6, 8, 1]],
            }
        },
    },
    "texts": [
        {"kind": "markup", "rows": 1, "examples": [{"part": "train", "row": 2, "text": "<script>alert(1)</script>"}]}
    ],
    "label_errors": {
        "method": "confident learning",
        "features": "TF-IDF",
        "folds": 5,
        "accuracy": 80.0,
        "majority": 75.0,
        "left_out": ["bad"],
        "suspected": 1,
        "share": 0.25,
        "pairs": [{"label": "good", "suggested": "bad", "rows": 1}],
        "rows": [
            {
                "row": 4,
                "text": "dull & slow",
                "label": "good",
                "suggested": "bad",
                "probability": 0.9,
                "given_probability": 0.1,
            }
        ],
    },
    "languages": {"looked_at": 4, "unsure": 1, "counts": {"en": 3}},
    "seconds": 0.1,
}


class Balance(HTMLParser):
    """Collects what is open, and the words."""

    def __init__(self):
        super().__init__()
        self.open, self.words = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "line", "rect", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("line", "rect"):
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read(page):
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    return " ".join("".join(parser.words).split())


def test_the_page_holds_the_document():
    page = render_audit(DOCUMENT)
    words = read(page)
    for said in (
        "5 rows, 2 labels; 1 duplicates",
        "1 rows of train are in test too",
        "80.0% accurate",
        "dull & slow",
        "Over the model's 5",
        "<script>alert(1)</script>",
        "1 with HTML tags",
        "en 3",
        "Not in training: worse",
    ):
        assert said in words, said
    assert "var(--bad)" in page  # the bin over the limit


def test_the_page_is_offline_and_runs_nothing():
    page = render_audit(DOCUMENT)
    assert "<script" not in page
    assert not re.search(r"""(?:src|href)=(?!"#)""", page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize("missing", ["labels", "suspects", "everything"])
def test_what_is_not_there_is_left_out(missing):
    document = copy.deepcopy(DOCUMENT)
    if missing == "suspects":
        document["label_errors"].update(suspected=0, rows=[], pairs=[], accuracy=None, left_out=[])
    else:
        document.update(labels=None, label_errors=None, columns={"text": "text", "label": None})
        document["duplicates"]["exact"]["examples"][0].pop("labels")
    if missing == "everything":
        document.update(texts=[], languages=None, leaks={"threshold": 0.5, "between": []})
        document["lengths"].update(limit=None)
        document["lengths"]["parts"]["train"]["over_limit"] = None
    words = read(render_audit(document))
    assert ("Suspected label errors" in words) == (missing == "suspects")
    assert ("Leaks between" in words) == (missing != "everything")


def test_write(tmp_path):
    page = write_audit(DOCUMENT, tmp_path / "new" / "audit.html")
    assert page.read_text() == render_audit(DOCUMENT)

import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.data import chinese
from lighten.data.normalise import Normalise, Normaliser
from lighten.data.stop_words import CHINESE, CHINESE_NEGATIONS
from lighten.errors import MissingExtraError

TEXT = "\u6211\u4e0d\u559c\u6b22\u8fd9\u90e8\u7535\u5f71\u7684\u7ed3\u5c40"


def test_stop_words_but_negations():
    pytest.importorskip("jieba")
    edited, counts = Normaliser(Normalise(stop_words=["zh"]))(TEXT + " The")
    assert edited == "\u4e0d\u559c\u6b22\u8fd9\u90e8\u7535\u5f71\u7ed3\u5c40 The"
    assert counts == {"stop_words": 2}
    assert not CHINESE & CHINESE_NEGATIONS


@given(st.text(st.sampled_from(TEXT + "abc \n1\U0001f44d\0")))
def test_the_words_are_the_text(text):
    pytest.importorskip("jieba")
    assert "".join(chinese.words(text)) == text


def test_segmentation_leaves_no_file(monkeypatch, tmp_path):
    pytest.importorskip("jieba")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    chinese._segmenter.cache_clear()
    assert "\u7535\u5f71" in chinese.words(TEXT)
    assert list(Path(tmp_path).iterdir()) == []


def test_scripts():
    pytest.importorskip("opencc")
    assert chinese.converter("simplified")("\u9019\u662f\u5f8c\u4f86") == "\u8fd9\u662f\u540e\u6765"
    assert Normaliser(Normalise(script="traditional"))("\u8fd9\u4e2a")[0] == "\u9019\u500b"


@pytest.mark.parametrize(
    ("fields", "package"), [({"stop_words": ["zh"]}, "jieba"), ({"script": "simplified"}, "opencc")]
)
def test_without_the_packages(monkeypatch, fields, package):
    monkeypatch.setitem(sys.modules, package, None)
    chinese._segmenter.cache_clear()
    chinese.converter.cache_clear()
    with pytest.raises(MissingExtraError, match=r"lighten\[chinese\]"):
        Normaliser(Normalise(**fields))

"""The number of compiled products that oneDNN keeps."""

from lighten.train.compiled import CAPACITY, VARIABLE, keep_few


def test_the_user_has_the_last_word(monkeypatch):
    monkeypatch.setenv(VARIABLE, "7")
    keep_few()
    import os

    assert os.environ[VARIABLE] == "7"
    monkeypatch.delenv(VARIABLE)
    keep_few()
    assert os.environ[VARIABLE] == str(CAPACITY)
    monkeypatch.delenv(VARIABLE)

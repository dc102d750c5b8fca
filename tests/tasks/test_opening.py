"""What a training is known by."""

from __future__ import annotations

from types import SimpleNamespace

from lighten.progress import Progress
from lighten.recipe import parse_recipe
from lighten.tasks import opening


def test_work_of_other_code_is_not_gone_on_with(tmp_path, monkeypatch):
    found = SimpleNamespace(paths=[tmp_path], fingerprint="model")
    monkeypatch.setattr(opening, "resolve", lambda *args, **options: found)
    monkeypatch.setattr(opening.data_room, "fingerprint", lambda *_: ["data"])
    content = {"task": "language-modeling", "data": {"train": "a.csv", "text": "text"}, "model": "m"}

    def scope():
        return opening.identify(parse_recipe(content), None, Progress())[0]

    before = scope()
    assert scope() == before
    monkeypatch.setattr(opening, "OUTCOMES", opening.OUTCOMES + 1)
    assert scope() != before

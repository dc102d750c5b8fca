from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

from hypothesis import given
from hypothesis import strategies as st

from lighten.pipeline.journal import Journal


def _names(journal):
    return [entry["name"] for entry in journal.events]


def test_events_come_back_in_order(tmp_path):
    journal = Journal(tmp_path / "run" / "journal.jsonl")
    for name in ("a", "b", "a"):
        journal.write("done", name=name, text="line\nbreak \u4e2d")
    again = Journal(journal.path)
    assert again.events == journal.events
    assert _names(again) == ["a", "b", "a"]
    assert again.last("done", name="a") is again.events[2]
    assert again.all("done", name="a") == [again.events[0], again.events[2]]
    assert again.last("done", name="c") is None
    assert again.last("other") is None


@given(st.lists(st.text(max_size=12), min_size=1, max_size=6), st.data())
def test_a_tear_anywhere_loses_at_most_the_torn_line(tmp_path_factory, names, data):
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    journal = Journal(path)
    for name in names:
        journal.write("done", name=name)
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n")
    torn = Journal(path)
    assert _names(torn) == names[:whole]
    assert not path.with_name("journal.jsonl.damaged").exists()
    torn.write("done", name="after")
    assert _names(Journal(path)) == [*names[:whole], "after"]


def test_memory_and_disk_agree_when_only_the_line_end_is_missing(tmp_path):
    path = tmp_path / "journal.jsonl"
    Journal(path).write("done", name="a")
    path.write_bytes(path.read_bytes()[:-1])
    first = Journal(path)
    assert Journal(path).events == first.events == []


def test_a_damaged_line_in_the_middle_is_kept_aside(tmp_path):
    path = tmp_path / "journal.jsonl"
    lines = [
        b'{"event": "done", "name": "a"}',
        b"\xff{garbage",
        b"12",
        b'{"no": "event"}',
        b"",
        b'{"event": "done", "name": "b"}',
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert _names(Journal(path)) == ["a", "b"]
    aside = path.with_name("journal.jsonl.damaged").read_bytes()
    assert aside == b'\xff{garbage\n12\n{"no": "event"}\n'
    assert _names(Journal(path)) == ["a", "b"]


def test_a_decision_is_taken_once_per_scope(tmp_path):
    path = tmp_path / "journal.jsonl"
    taken = []

    def make(value):
        taken.append(value)
        return value

    assert Journal(path).decide("plans", "one", lambda: make([1, 2])) == [1, 2]
    assert Journal(path).decide("plans", "one", lambda: make([3])) == [1, 2]
    assert Journal(path).decide("plans", "two", lambda: make([3])) == [3]
    assert taken == [[1, 2], [3]]


def test_a_killed_writer_loses_nothing_it_finished(tmp_path):
    path = tmp_path / "journal.jsonl"
    script = (
        "import sys, itertools; from pathlib import Path; from lighten.pipeline.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for n in itertools.count(len(journal.events)):\n"
        "    journal.write('done', name=n, fill='x' * 500); print(n, flush=True)"
    )
    for attempt in range(3):
        writer = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
        for _ in range(5):
            confirmed = int(writer.stdout.readline())
        time.sleep(0.003 * attempt)
        writer.send_signal(signal.SIGKILL)
        rest = [int(line) for line in writer.stdout.read().split("\n")[:-1]]
        writer.wait()
        known = _names(Journal(path))
        assert known == list(range(len(known)))
        assert len(known) > max([confirmed, *rest])
        assert all(json.loads(line) for line in path.read_text().splitlines())

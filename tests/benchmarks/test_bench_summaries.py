"""The benchmark of summaries reads QMSum's layout and compares the baselines."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lighten.errors import InputError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from bench_summaries import arguments, measured, read_meetings, shown

MEETING = {
    "meeting_transcripts": [{"speaker": "A", "content": f"We talked about item number {i} today ."} for i in range(6)],
    "general_query_list": [{"query": "Summarize", "answer": "They talked about items today."}],
    "specific_query_list": [
        {"query": "Item 2?", "answer": "They talked about item 2.", "relevant_text_span": [["1", "2"], ["4", "4"]]}
    ],
}


@pytest.fixture
def data(tmp_path):
    (tmp_path / "qmsum").mkdir()
    for part in ("train", "test"):
        (tmp_path / "qmsum" / f"{part}.jsonl").write_text("\n".join([json.dumps(MEETING)] * 3))
    return tmp_path


def test_queries_take_the_turns_that_belong_to_them(data):
    texts, summaries = read_meetings(data / "qmsum" / "test.jsonl", "specific")
    assert [len(text.split("\n\n")) for text in texts] == [3, 3, 3] and "number 4" in texts[0]
    assert summaries[0] == "They talked about item 2."
    assert len(read_meetings(data / "qmsum" / "test.jsonl", "general")[0][0].split("\n\n")) == 6


def test_the_baselines_are_compared(data):
    numbers = measured(arguments(["--data", str(data), "--limit", "2"]))
    assert numbers["documents"] == 2 and list(numbers["systems"]) == ["lead", "textrank"]
    assert "| textrank |" in shown(numbers)
    with pytest.raises(InputError, match="no such part"):
        measured(arguments(["--data", str(data), "--part", "val"]))

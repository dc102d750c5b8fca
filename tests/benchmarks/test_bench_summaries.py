"""The benchmark of summaries reads QMSum's layout and compares the baselines."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from tests.helpers.checkpoints import bert, checkpoints, one_thread

from lighten.errors import InputError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from bench_summaries import arguments, judge, measured, shown, written
from meetings import FILES, Meeting, read_meetings, write_csv

__all__ = ["bert", "checkpoints", "one_thread"]
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


@pytest.fixture
def summarizer(bert, tmp_path):
    """A folder with a tiny encoder-decoder that knows nothing."""
    from lighten.models.auto import save_auto
    from lighten.models.warm_start import load_from_encoder

    model = load_from_encoder(bert, seed=0)
    save_auto(model, tmp_path / "summarizer", bert)
    return tmp_path / "summarizer"


def test_queries_take_the_turns_that_belong_to_them(data):
    found = read_meetings(data / "qmsum" / "test.jsonl", "specific")
    assert [len(one.text.split("\n\n")) for one in found] == [3, 3, 3] and "number 4" in found[0].text
    assert (found[0].query, found[0].summary) == ("Item 2?", "They talked about item 2.")
    assert len(read_meetings(data / "qmsum" / "test.jsonl", "general")[0].text.split("\n\n")) == 6


def test_a_file_for_training_has_the_query_in_front(tmp_path):
    write_csv(tmp_path / "one.csv", [Meeting("Why?", "A: Because.\n\nB: Yes.", "They agreed.")])
    with (tmp_path / "one.csv").open(newline="", encoding="utf-8") as stream:
        assert list(csv.DictReader(stream)) == [{"text": "Why?\n\nA: Because.\n\nB: Yes.", "summary": "They agreed."}]


def test_the_baselines_are_compared(data, capsys):
    numbers = measured(arguments(["--data", str(data), "--limit", "2"]))
    assert numbers["documents"] == 2 and list(numbers["systems"]) == ["lead", "textrank"]
    assert "| textrank |" in shown(numbers) and judge(numbers) == {} and not capsys.readouterr().out
    with pytest.raises(InputError, match="no such part"):
        measured(arguments(["--data", str(data), "--part", "val"]))
    with pytest.raises(InputError, match="chosen by its loss"):
        measured(arguments(["--data", str(data), "--part", "val", "--train", "1"]))
    with pytest.raises(InputError, match="says what --train trains"):
        measured(arguments(["--data", str(data), "--extractive"]))
    with pytest.raises(InputError, match="not both"):
        measured(arguments(["--data", str(data), "--model", "x", "--train", "1"]))


def test_a_model_writes_piece_by_piece_with_the_query_in_front_of_each(data, summarizer, monkeypatch):
    from lighten.models import writing
    from lighten.models.tokens import read_tokenizer

    tokenizer, real = read_tokenizer(summarizer), writing.write_summaries
    read = []

    def watched(model, sources, how):
        read.extend(sources)
        return real(model, sources, how)

    monkeypatch.setattr(writing, "write_summaries", watched)
    flags = ["--data", str(data), "--queries", "specific", "--limit", "1", "--model", str(summarizer), "--chunk", "40"]
    numbers = measured(arguments([*flags, "--max-tokens", "6", "--beams", "2"]))
    assert list(numbers["systems"]) == ["model", "lead", "textrank"]
    query = tokenizer.encode("Item 2?").ids[1:-1]
    assert len(read) > 2 and all(ids[1 : 1 + len(query)].tolist() == query for ids in read)
    assert max(map(len, read)) <= 40
    assert set(judge(numbers)) == {"rouge1_ahead_of_lead", "rouge1_ahead_of_textrank"}
    read.clear()
    meetings = read_meetings(data / "qmsum" / "test.jsonl", "specific")[:1]
    written(arguments([*flags, "--max-tokens", "6", "--without-query"]), meetings)
    assert read and not any(ids[1 : 1 + len(query)].tolist() == query for ids in read)
    with pytest.raises(InputError, match="no shorter than pieces"):
        measured(arguments([*flags, "--max-tokens", "38"]))


def test_a_goal_is_met_where_the_whole_interval_is_above_zero(capsys):
    systems = {
        "model": {},
        "lead": {"rouge1": {"ahead": 2.0, "ahead_ci95": [0.5, 3.5]}},
        "textrank": {"rouge1": {"ahead": 1.0, "ahead_ci95": [-0.5, 2.5]}},
    }
    assert judge({"systems": systems}) == {"rouge1_ahead_of_lead": True, "rouge1_ahead_of_textrank": False}
    assert "lead: 2 (0.5 to 3.5), goal above 0: met" in capsys.readouterr().out


@pytest.mark.slow
def test_a_model_is_trained_and_judged(data, bert, tmp_path):
    for name in FILES.values():
        (data / "qmsum" / f"{name}.jsonl").write_text("\n".join([json.dumps(MEETING)] * 12))
    flags = ["--data", str(data), "--queries", "specific", "--limit", "3", "--train", "0.2", "--encoder", str(bert)]
    numbers = measured(arguments([*flags, "--out", str(tmp_path / "out"), "--chunk", "40", "--max-tokens", "8"]))
    assert list(numbers["systems"]) == ["model", "lead", "textrank"] and numbers["train"] == 0.2
    lines = (tmp_path / "out" / "data-specific" / "train.csv").read_text().count("They talked")
    assert lines == 24  # queries of both kinds


@pytest.mark.slow
def test_a_model_that_chooses_is_trained_and_judged(data, bert, tmp_path):
    for name in FILES.values():
        (data / "qmsum" / f"{name}.jsonl").write_text("\n".join([json.dumps(MEETING).replace("today", name)] * 12))
    flags = ["--data", str(data), "--queries", "specific", "--limit", "3", "--train", "0.2", "--encoder", str(bert)]
    numbers = measured(arguments([*flags, "--extractive", "--chunk", "40", "--out", str(tmp_path / "out")]))
    names = list(numbers["systems"])
    assert (
        names[0] == "model"
        and names[-2:] == ["lead", "textrank"]
        and set(judge(numbers)) == {f"rouge1_ahead_of_{name}" for name in names[1:]}
    )
    written = (tmp_path / "out" / "data-extractive-specific" / "train.csv").read_text()
    assert written.count("They talked") == 12 and "Item 2?" not in written  # one kind of query, and never in the text

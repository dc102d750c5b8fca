"""Summaries of meetings: ROUGE of a model, of the first sentences and of TextRank, side by side.

    python benchmarks/bench_summaries.py --data shared/data                       # QMSum: the baselines alone
    python benchmarks/bench_summaries.py --data shared/data --model runs/meetings/model
    python benchmarks/bench_summaries.py --data shared/data --queries specific --beams 4 --chunk 512
    python benchmarks/bench_summaries.py --data shared/data --queries specific --train 60    # trained, then judged
    python benchmarks/bench_summaries.py --data shared/data --queries specific --train 20 --extractive
    python benchmarks/bench_summaries.py --data shared/data --limit 5
    python benchmarks/bench_summaries.py --data shared/data --record

QMSum (Zhong et al. 2021) holds transcripts of about 9,000 words. `general` takes the whole meeting and the answer to
the general query; `specific` the turns that were marked as relevant to a query, and its answer. The model, if any, is
the checkpoint of an encoder-decoder, given or trained here on the queries of both kinds; texts over its limit go chunk
by chunk, each with the query in front, and are summarised again. With `--extractive` it chooses sentences instead and
sees no query. Baselines see none either, and write about as many words as the answers of the training part have (the
median); where an extractive model chose another length on the validation part, they also stand there at that one. F1
in points, 95% intervals over the documents, differences in pairs: the goal of a model is to be ahead of both baselines
in ROUGE-1. The last line is one JSON document.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.measure.rouge import MEASURES
from lighten.measure.summaries import compare_summaries, same_length, table, usual_length

sys.path.insert(0, str(Path(__file__).parent))
from meetings import MODEL, Meeting, read_meetings, train, with_query
from record import finish, parser

RUNS = Path(__file__).parents[1] / "runs" / "bench-summaries"


def arguments(given: list[str] | None = None) -> Any:
    """Return the flags."""
    made = parser(__doc__ or "")
    made.add_argument("--part", default="test", choices=["val", "test"])
    made.add_argument("--queries", default="general", choices=["general", "specific"])
    made.add_argument("--model", type=Path, help="checkpoint of an encoder-decoder")
    made.add_argument("--train", type=float, metavar="MINUTES", help="train a small model for so long and measure it")
    made.add_argument("--extractive", action="store_true", help="train a model that chooses sentences")
    made.add_argument("--encoder", default=MODEL, help="that the trained model starts from")
    made.add_argument("--out", type=Path, default=RUNS, help="folder for what --train makes")
    made.add_argument("--without-query", action="store_true", help="for a --model that was trained without queries")
    made.add_argument("--beams", type=int, default=4)
    made.add_argument("--max-tokens", type=int, default=160)
    made.add_argument("--no-repeat", type=int, default=3)
    made.add_argument("--length-penalty", type=float, default=1.0)
    made.add_argument("--chunk", type=int, default=512, help="tokens of a piece of a long text")
    made.add_argument("--limit", type=int, help="documents at most")
    made.add_argument("--seed", type=int, default=0)
    return made.parse_args(given)


def written(asked: Any, meetings: list[Meeting]) -> list[str]:
    """Return the model's summaries; the query stands in front of every piece."""
    from lighten.models.auto import load_auto, positions_of, written_positions
    from lighten.models.tokens import encode, lengths, read_tokenizer
    from lighten.models.writing import Writing, write_summaries
    from lighten.runtime.chunk_and_merge import summarise_long

    model = load_auto(asked.model, "seq2seq", seed=asked.seed)
    tokenizer = read_tokenizer(asked.model)
    limit = min(asked.chunk, positions_of(model) or asked.chunk)
    most = min(asked.max_tokens, (written_positions(model) or asked.max_tokens + 1) - 1)
    writing = Writing(asked.beams, most, asked.length_penalty, asked.no_repeat)

    def count(parts: list[str]) -> list[int]:
        found: list[int] = lengths(tokenizer, parts).tolist()
        return found

    summaries = []
    for number, meeting in enumerate(meetings, 1):
        query = "" if asked.without_query else meeting.query
        room = limit - (count([query])[0] if query else 0)
        if most >= room:
            raise InputError(
                f"summaries of up to {most} tokens (--max-tokens) are no shorter than pieces of {room}: --chunk "
                f"{asked.chunk}, and what the model reads, less the query"
            )

        def write(pieces: list[str], query: str = query) -> list[str]:
            found = write_summaries(
                model, encode(tokenizer, [with_query(query, one) for one in pieces], limit), writing
            )
            return [text.strip() for text in tokenizer.decode_batch([ids.tolist() for ids in found])]

        summaries += summarise_long([meeting.text], write, count, room)
        print(f"{number} of {len(meetings)} documents written", file=sys.stderr)
    return summaries


def chosen(asked: Any, meetings: list[Meeting], usual: int) -> dict[str, list[str]]:
    """Return the sentences that an extractive model chooses, and the baselines of the same length."""
    from lighten.runtime import read_folder
    from lighten.runtime.extract import Extractor

    model, texts = Extractor(read_folder(asked.model), threads=os.cpu_count()), [one.text for one in meetings]
    return {"model": model.summarize(texts), **same_length(texts, model.words, usual)}


def extracts(folder: Path) -> bool:
    """Return whether a model chooses sentences."""
    from lighten.runtime import read_folder

    return (folder / "lighten.json").is_file() and bool(read_folder(folder).extraction)


def measured(asked: Any) -> dict[str, Any]:
    """Read, train where asked for, write, compare."""
    if asked.data is None:
        raise InputError("--data FOLDER is needed: the folder that holds qmsum/")
    if asked.train is not None and asked.model is not None:
        raise InputError("--train makes a model, --model takes one: not both")
    if asked.extractive and asked.train is None:
        raise InputError("--extractive says what --train trains; a --model says itself what it is")
    if asked.train is not None and asked.part != "test":
        raise InputError("a model trained here was chosen by its loss on the part val: judge it on test")
    folder = asked.data / "qmsum"
    known = read_meetings(folder / "train.jsonl", asked.queries)
    meetings = read_meetings(folder / f"{asked.part}.jsonl", asked.queries)[: asked.limit]
    if asked.train is not None:
        asked.model = train(folder, asked.queries, asked.out, asked.encoder, asked.train, asked)
    begun = time.perf_counter()
    usual = usual_length([one.summary for one in known])
    if asked.model is None:
        systems = {}
    elif extracts(asked.model):
        systems = chosen(asked, meetings, usual)
    else:
        systems = {"model": written(asked, meetings)}
    seconds = round(time.perf_counter() - begun, 1)
    texts, summaries = [one.text for one in meetings], [one.summary for one in meetings]
    found = compare_summaries(texts, summaries, systems, usual, asked.seed)
    words = round(float(np.mean([len(text.split()) for text in texts])))
    names = ("part", "queries", "beams", "max_tokens", "no_repeat", "length_penalty", "chunk", "limit", "seed")
    settings = {name: getattr(asked, name) for name in (*names, "train", "encoder", "extractive", "without_query")}
    model = None if asked.model is None else asked.model.name
    return {**settings, "model": model, "words_per_document": words, "seconds_written": seconds, **found}


def judge(numbers: dict[str, Any]) -> dict[str, bool]:
    """Print by how much the model is ahead of what costs nothing; met where the whole interval is above 0."""
    met = {}
    others = [name for name in numbers["systems"] if name != "model"] if "model" in numbers["systems"] else []
    for name in others:
        found = numbers["systems"][name]["rouge1"]
        low, high = found["ahead_ci95"]
        met[f"rouge1_ahead_of_{name}"] = low > 0
        said = "met" if low > 0 else "missed"
        print(f"rouge1 ahead of {name}: {found['ahead']:.3g} ({low:g} to {high:g}), goal above 0: {said}")
    return met


def shown(numbers: dict[str, Any]) -> str:
    """Return the numbers as a Markdown table."""
    lines = [f"| written by | {' | '.join(MEASURES)} |", "|---|" + "---:|" * len(MEASURES)]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in table(numbers))])


def main() -> None:
    """Measure and print."""
    asked = arguments()
    try:
        numbers = measured(asked)
    except InputError as error:
        sys.exit(str(error))
    print(f"{numbers['documents']} documents of {numbers['words_per_document']} words")
    print(shown(numbers))
    numbers["goals_met"] = judge(numbers)
    finish("summaries", numbers, asked.record)


if __name__ == "__main__":
    main()

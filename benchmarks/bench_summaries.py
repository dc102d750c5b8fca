"""Summaries of meetings: ROUGE of a model, of the first sentences and of TextRank, side by side.

    python benchmarks/bench_summaries.py --data shared/data                       # QMSum: the baselines alone
    python benchmarks/bench_summaries.py --data shared/data --model runs/meetings/model
    python benchmarks/bench_summaries.py --data shared/data --queries specific --beams 4 --chunk 512
    python benchmarks/bench_summaries.py --data shared/data --limit 5
    python benchmarks/bench_summaries.py --data shared/data --record

QMSum (Zhong et al. 2021) holds transcripts of about 9,000 words. `general` takes the whole meeting and the answer to
the general query; `specific` the turns that were marked as relevant to a query, and its answer. The model, if any, is
the checkpoint of an encoder-decoder; texts over its limit go chunk by chunk and are summarised again. Baselines write
about as many words as the answers of the training part have (the median). F1 in points, 95% intervals over the
documents, differences in pairs. The last line is one JSON document.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.measure.rouge import MEASURES
from lighten.measure.summaries import compare_summaries, table, usual_length

sys.path.insert(0, str(Path(__file__).parent))
from record import finish, parser


def arguments(given: list[str] | None = None) -> Any:
    """Return the flags."""
    made = parser(__doc__ or "")
    made.add_argument("--part", default="test", choices=["val", "test"])
    made.add_argument("--queries", default="general", choices=["general", "specific"])
    made.add_argument("--model", type=Path, help="checkpoint of an encoder-decoder")
    made.add_argument("--beams", type=int, default=4)
    made.add_argument("--max-tokens", type=int, default=160)
    made.add_argument("--no-repeat", type=int, default=3)
    made.add_argument("--length-penalty", type=float, default=1.0)
    made.add_argument("--chunk", type=int, default=512, help="tokens of a piece of a long text")
    made.add_argument("--limit", type=int, help="documents at most")
    made.add_argument("--seed", type=int, default=0)
    return made.parse_args(given)


def read_meetings(file: Path, queries: str) -> tuple[list[str], list[str]]:
    """Return texts and summaries of a part of QMSum."""
    texts, summaries = [], []
    for line in file.read_text(encoding="utf-8").splitlines():
        meeting = json.loads(line)
        turns = [f"{turn['speaker']}: {turn['content']}" for turn in meeting["meeting_transcripts"]]
        for query in meeting[f"{queries}_query_list"]:
            spans = query.get("relevant_text_span") or [["0", str(len(turns) - 1)]]
            chosen = turns if queries == "general" else [t for a, b in spans for t in turns[int(a) : int(b) + 1]]
            if chosen and query["answer"].strip():
                texts.append("\n\n".join(chosen))
                summaries.append(query["answer"])
    return texts, summaries


def written(asked: Any, texts: list[str]) -> list[str]:
    """Return the model's summaries."""
    from lighten.models.auto import load_auto, positions_of, written_positions
    from lighten.models.tokens import encode, lengths, read_tokenizer
    from lighten.models.writing import Writing, write_summaries
    from lighten.runtime.chunk_and_merge import summarise_long

    model = load_auto(asked.model, "seq2seq", seed=asked.seed)
    tokenizer = read_tokenizer(asked.model)
    limit = min(asked.chunk, positions_of(model) or asked.chunk)
    most = min(asked.max_tokens, (written_positions(model) or asked.max_tokens + 1) - 1)
    writing = Writing(asked.beams, most, asked.length_penalty, asked.no_repeat)

    def write(pieces: list[str]) -> list[str]:
        found = write_summaries(model, encode(tokenizer, pieces, limit), writing)
        return [text.strip() for text in tokenizer.decode_batch([ids.tolist() for ids in found])]

    return summarise_long(texts, write, lambda parts: lengths(tokenizer, parts).tolist(), limit)


def measured(asked: Any) -> dict[str, Any]:
    """Read, write, compare."""
    if asked.data is None:
        raise InputError("--data FOLDER is needed: the folder that holds qmsum/")
    folder = asked.data / "qmsum"
    for name in ("train", asked.part):
        if not (folder / f"{name}.jsonl").is_file():
            raise InputError("no such part of QMSum", str(folder / f"{name}.jsonl"))
    _, known = read_meetings(folder / "train.jsonl", asked.queries)
    texts, summaries = read_meetings(folder / f"{asked.part}.jsonl", asked.queries)
    texts, summaries = texts[: asked.limit], summaries[: asked.limit]
    begun = time.perf_counter()
    systems = {} if asked.model is None else {"model": written(asked, texts)}
    seconds = round(time.perf_counter() - begun, 1)
    found = compare_summaries(texts, summaries, systems, usual_length(known), asked.seed)
    words = round(float(np.mean([len(text.split()) for text in texts])))
    names = ("part", "queries", "beams", "max_tokens", "no_repeat", "length_penalty", "chunk", "limit", "seed")
    settings = {name: getattr(asked, name) for name in names}
    model = None if asked.model is None else asked.model.name
    return {**settings, "model": model, "words_per_document": words, "seconds_written": seconds, **found}


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
    finish("summaries", numbers, asked.record)


if __name__ == "__main__":
    main()

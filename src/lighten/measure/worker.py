"""``python -m lighten.measure.worker``: reads one JSON request on stdin, writes JSON lines on stdout.

Lines are ``{"progress": share}`` any number of times, then ``{"answer": ...}`` or ``{"error": ..., "exit_code": n}``.
This process imports the runtime and numpy, nothing else of weight: its memory is what serving needs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from lighten.errors import LightenError

Report = Callable[[float], None]
Work = Callable[[dict[str, Any], Report], Any]


def logits(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return the logits of several models for the same examples, and the true labels.

    The request has ``folders`` {name: path}, ``examples`` (JSON lines of text and label), ``threads`` and ``batch``.
    The answer has ``passed_on`` besides, by name of each cascade: for each example whether the second model answered.
    """
    from lighten.measure.examples import align, read_examples
    from lighten.measure.loading import load_at
    from lighten.runtime.cascade import CascadeAnswered

    loaded = {name: load_at(path, request["threads"]) for name, path in request["folders"].items()}
    labels = next(iter(loaded.values())).labels
    orders = {name: align(labels, item.labels, str(item.folder.path)) for name, item in loaded.items()}
    texts, truth = read_examples(Path(request["examples"]), labels)
    rows: dict[str, list[Any]] = {name: [] for name in loaded}
    passed: dict[str, list[bool]] = {}
    step = 256
    done, total = 0, max(1, len(loaded) * len(texts))
    for name, classifier in loaded.items():
        for start in range(0, len(texts), step):
            part = classifier.answer(texts[start : start + step], max_batch=request["batch"])
            rows[name] += part.logits[:, orders[name]].tolist()
            if isinstance(part, CascadeAnswered):
                passed.setdefault(name, []).extend(part.passed_on.tolist())
            done += len(part.logits)
            report(done / total)
    return {"labels": list(labels), "truth": truth, "logits": rows, "passed_on": passed}


def timings(request: dict[str, Any], report: Report) -> list[dict[str, Any]]:
    """Return the timings of several models under several conditions, in milliseconds.

    The request has ``folders`` {name: path}, ``threads``, ``seed`` and ``runs``, each with ``batch``, ``tokens``,
    ``calls``, ``seconds`` and ``warmup``, and perhaps ``names``, those it is about. The answer has
    {name: [rounds][calls]} per run; of a cascade {name: {texts passed on: [rounds][calls]}}.
    """
    from lighten.measure.cascade import Mixed
    from lighten.measure.loading import load_at
    from lighten.measure.timing import time_classifiers

    loaded = {name: load_at(path, request["threads"]) for name, path in request["folders"].items()}
    runs = request["runs"]
    total = sum(run["seconds"] for run in runs) or 1.0
    before, answer = 0.0, []
    for run in runs:
        share = run["seconds"] / total

        def inner(done: float, before: float = before, share: float = share) -> None:
            report(before + share * done)

        conditions = {key: value for key, value in run.items() if key != "names"}
        some = {name: loaded[name] for name in run.get("names", loaded)}
        timed = time_classifiers(some, seed=request["seed"], progress=inner, **conditions)
        answer.append(
            {
                name: {kind.passed: kind.samples.tolist() for kind in latency.kinds}
                if isinstance(latency, Mixed)
                else latency.samples.tolist()
                for name, latency in timed.items()
            }
        )
        before += share
    return answer


def memory(request: dict[str, Any], report: Report) -> float:
    """Return this process's peak memory in millions of bytes after loading and predicting."""
    from lighten.measure.memory import predict_and_weigh

    return predict_and_weigh(request["folder"], **request["target"])


def language_losses(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return the losses of several language models on the same documents.

    The request has ``folders`` {name: path}, ``texts`` and ``threads``. The answer has ``sums`` and ``tokens`` per
    document by name.
    """
    from lighten.measure.language import folder_losses
    from lighten.runtime.generate import load_generator

    answer, count = {}, len(request["folders"])
    for number, (name, path) in enumerate(request["folders"].items()):

        def inner(done: float, number: int = number) -> None:
            report((number + done) / count)

        # One after the other: each is held alone.
        found = folder_losses(load_generator(path, threads=request["threads"]), request["texts"], progress=inner)
        answer[name] = {"sums": found.sums.tolist(), "tokens": found.tokens.tolist()}
    return answer


def language_speed(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return the seconds that several language models took to read and to write, per round by name.

    The request has ``folders`` {name: path}, ``threads``, ``prompt``, ``written``, ``rounds`` and ``seed``.
    """
    from lighten.measure.language_speed import FolderModel, time_language_models
    from lighten.runtime.generate import load_generator

    loaded = {
        name: FolderModel(load_generator(path, threads=request["threads"], spinning=False))
        for name, path in request["folders"].items()
    }
    options = {key: request[key] for key in ("prompt", "written", "rounds", "seed")}
    timed = time_language_models(loaded, progress=report, **options)
    return {
        name: {"prefill": found.prefill_seconds.tolist(), "decode": found.decode_seconds.tolist()}
        for name, found in timed.items()
    }


WORK: dict[str, Work] = {
    "logits": logits,
    "timings": timings,
    "memory": memory,
    "language_losses": language_losses,
    "language_speed": language_speed,
}


def main(works: Mapping[str, Work] = WORK) -> int:
    """Answer the request on stdin; what a library prints meanwhile goes to stderr and is no answer.

    Args:
        works: what can be asked for, by name; a room above passes its own.
    """
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as out:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        answer(works, sys.stdin.buffer.read(), out)
    return 0


def answer(works: Mapping[str, Work], asked: bytes, out: TextIO) -> None:
    """Answer one request.

    Args:
        works: what can be asked for, by name.
        asked: the request.
        out: gets the JSON lines.
    """
    said = 0.0

    def say(**message: Any) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    def report(share: float) -> None:
        nonlocal said
        if time.monotonic() - said > 0.3:
            said = time.monotonic()
            say(progress=round(share, 4))

    try:
        request = json.loads(asked)
        say(answer=works[request["do"]](request, report))
    except LightenError as error:
        say(error=str(error), exit_code=error.exit_code)


if __name__ == "__main__":
    sys.exit(main())

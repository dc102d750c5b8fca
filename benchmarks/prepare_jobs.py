"""One job of the preparation benchmark in this process, as JSON on the last line: what bench_prepare.py times.

    python benchmarks/prepare_jobs.py '{"job": "clean_lighten", "corpus": "texts.json"}'

Ours run in the interpreter of this project, the peers in the one of their own environment; both read the same file,
do a few texts to load what they need, and then start the clock: CPU seconds of this process, all threads together.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

WARM = 100
"""Texts before the clock starts."""
Run = Callable[[list[str]], dict[str, Any]]


def clean_lighten(wanted: dict[str, Any]) -> Run:
    """The step `clean` on a table, with its whole report."""
    import polars as pl

    from lighten.data.clean import Clean
    from lighten.data.columns import Columns

    def run(texts: list[str]) -> dict[str, Any]:
        _, note = Clean().apply(pl.DataFrame({"text": texts}), Columns("text"))
        return {"changed": note["changed"], "counts": note["counts"]}

    return run


def clean_datatrove(wanted: dict[str, Any]) -> Run:
    """Documents in memory through an executor in this process: ftfy's repair and nothing else, no counts."""
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.formatters import FTFYFormatter
    from loguru import logger

    logger.remove()

    def run(texts: list[str]) -> dict[str, Any]:
        changed = 0

        # Functions, since the executor copies its pipeline before it runs, and a list of documents with it.
        def read(data: Any, rank: int, world_size: int) -> Iterator[Document]:
            for number, text in enumerate(texts):
                yield Document(text, str(number))

        def count(data: Iterator[Document], rank: int, world_size: int) -> Iterator[Document]:
            nonlocal changed
            for document in data:
                changed += document.text != texts[int(document.id)]
                yield document

        with tempfile.TemporaryDirectory() as logs:
            LocalPipelineExecutor([read, FTFYFormatter(), count], workers=1, tasks=1, logging_dir=logs).run()
        return {"changed": changed}

    return run


def clean_cleantext(wanted: dict[str, Any]) -> Run:
    """clean-text with its defaults; no counts."""
    from cleantext import clean

    return lambda texts: {"changed": sum(clean(text) != text for text in texts)}


def near_lighten(wanted: dict[str, Any]) -> Run:
    """From texts to the rows that go, each pair verified."""
    from lighten.data.near import near_duplicates

    def run(texts: list[str]) -> dict[str, Any]:
        found = near_duplicates(texts)
        dropped = found.causes()
        return {"dropped": len(dropped), "groups": found.clusters(), "rows": sorted(dropped)}

    return run


def near_datasketch(wanted: dict[str, Any]) -> Run:
    """MinHash of 128 permutations with `update_batch`, LSH of all; its candidates count as found."""
    from datasketch import MinHash, MinHashLSH

    words = re.compile(r"\w+")
    size, threshold = wanted["shingle"], wanted["threshold"]

    def run(texts: list[str]) -> dict[str, Any]:
        index = MinHashLSH(threshold=threshold, num_perm=128)
        groups, rows = [], []
        for number, text in enumerate(texts):
            own = words.findall(text.lower())
            grams = {" ".join(own[at : at + size]) for at in range(max(1, len(own) - size + 1))}
            signature = MinHash(num_perm=128)
            signature.update_batch([gram.encode() for gram in grams])
            alike = index.query(signature)
            if alike:
                groups += [[int(other), number] for other in alike]
                rows.append(number)
            index.insert(number, signature)
        return {"dropped": len(rows), "groups": groups, "rows": rows}

    return run


def synonyms_lighten(wanted: dict[str, Any]) -> Run:
    """Synonyms from WordNet, the kept table read again each time."""
    from lighten.data import augment_texts

    def run(texts: list[str]) -> dict[str, Any]:
        made = augment_texts(texts, "synonyms", wanted["copies"], wordnet=wanted["wordnet"]).texts
        changed = sum(new != text for text, row in zip(texts, made, strict=True) for new in row)
        return {"outputs": sum(map(len, made)), "changed": changed}

    return run


def synonyms_nlpaug(wanted: dict[str, Any]) -> Run:
    """Nlpaug on the same WordNet; its tagger, whose data is in no package, is replaced by one that costs nothing."""
    _nltk(wanted)
    import nlpaug.augmenter.word as augmenters

    tool = augmenters.SynonymAug(aug_src="wordnet", aug_p=0.1)

    def run(texts: list[str]) -> dict[str, Any]:
        sources = [text for text in texts for _ in range(wanted["copies"])]
        made = [tool.augment(text, n=1) for text in sources]
        changed = sum(new != text for row, text in zip(made, sources, strict=True) for new in row)
        return {"outputs": sum(map(len, made)), "changed": changed}

    return run


def synonyms_eda(wanted: dict[str, Any]) -> Run:
    """EDA's synonym replacement as textaugment has it, on the same WordNet."""
    import importlib.util

    _nltk(wanted)
    # Its package imports translators and word vectors that this one method does not need.
    folder = next(Path(place) / "textaugment" for place in sys.path if (Path(place) / "textaugment").is_dir())
    spec = importlib.util.spec_from_file_location("eda", folder / "eda.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tool = module.EDA(stop_words=wanted["stop_words"], random_state=1)

    def run(texts: list[str]) -> dict[str, Any]:
        outputs = changed = 0
        for text in texts:
            for _ in range(wanted["copies"]):
                new = tool.synonym_replacement(text, n=max(1, round(0.1 * (text.count(" ") + 1))))
                outputs += 1
                changed += new != text
        return {"outputs": outputs, "changed": changed}

    return run


def _nltk(wanted: dict[str, Any]) -> None:
    """Let NLTK read WordNet from the folder of the benchmark."""
    import nltk

    nltk.data.path[:] = [wanted["nltk_data"]]
    nltk.pos_tag = lambda tokens, *_, **__: [(token, "NN") for token in tokens]
    from nltk.corpus import wordnet

    wordnet.ensure_loaded()


def main() -> None:
    """Do the job that the argument describes."""
    wanted = json.loads(sys.argv[1])
    texts = json.loads(Path(wanted["corpus"]).read_text(encoding="utf-8"))
    run: Run = globals()[wanted["job"]](wanted)
    run(texts[:WARM])
    wall, cpu = time.perf_counter(), time.process_time()
    found = run(texts)
    spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    print(json.dumps({**spent, "texts": len(texts), **found}))


if __name__ == "__main__":
    main()

"""Peak resident memory of a process that does nothing but serve."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path


def peak_memory_mb(folder: str | Path, target: Mapping[str, int]) -> float:
    """Return the peak memory of a fresh process that loads the model and predicts, in millions of bytes.

    Args:
        folder: the model folder.
        target: ``threads``, ``batch`` and ``tokens``.
    """
    from lighten.measure.process import ask  # not needed in the process that is weighed

    conditions = {key: target[key] for key in ("threads", "batch", "tokens")}
    return float(ask({"do": "memory", "folder": str(folder), "target": conditions}))


def predict_and_weigh(folder: str, threads: int, batch: int, tokens: int, calls: int = 5) -> float:
    """Load, predict a text and a few full batches in this process, and return its peak memory.

    A language model reads a prompt of `tokens` and writes as many tokens as it is called.
    """
    import numpy as np

    from lighten.runtime.folder import LANGUAGE, read_folder

    if read_folder(folder).task == LANGUAGE:
        return _write_and_weigh(folder, threads, tokens, calls)
    from lighten.measure.loading import load_at
    from lighten.measure.timing import random_inputs
    from lighten.runtime.cascade import Cascade

    classifier = load_at(folder, threads)
    # Of a cascade the worst batch counts: one that is passed on as a whole.
    for part in [classifier.first, classifier.second] if isinstance(classifier, Cascade) else [classifier]:
        part.predict("a text, so that the tokenizer takes part")
        for seed in range(calls):
            part.run(*random_inputs(part, batch, tokens, np.random.default_rng(seed)))
    return own_peak_mb()


def _write_and_weigh(folder: str, threads: int, tokens: int, calls: int) -> float:
    import numpy as np

    from lighten.runtime.generate import load_generator

    model = load_generator(folder, threads=threads)
    model.encode("a text, so that the tokenizer takes part")
    cache = model.session.cache(tokens + calls)
    ids = np.random.default_rng(0).integers(0, model.session.vocabulary, tokens, dtype=np.int64)
    for _ in range(calls + 1):
        ids = model.session.step(cache, ids)[-1:].argmax(1)
    return own_peak_mb()


def own_peak_mb() -> float:
    """Return this process's peak resident memory in millions of bytes.

    On Linux from VmHWM: ``getrusage`` would count the peak of the parent too, for the kernel hands it on
    through fork and exec; a parent with gigabytes of torch would then be taken for the model.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6

"""The cost model: latency, throughput, size and memory of any shape on this machine, without exporting it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from lighten.measure.cost import LARGE_BATCH
from lighten.models.layout import Shape
from lighten.search.cost.fit import fit_law
from lighten.search.cost.law import Law
from lighten.search.cost.memory import SizeLaw, fit_sizes, tokenizer_mb
from lighten.search.cost.samples import Measured, PrecisionThreads


class Conditions(TypedDict):
    """How a model is called: texts per call, tokens per sequence."""

    batch: int
    tokens: int
    threads: int


class Chunked(Conditions):
    """How a model is called that reads each text in so many sequences, its chunks."""

    chunks: int


@dataclass(frozen=True)
class TokenizerFiles:
    """Megabytes of a tokenizer's files as they are, and compact as a trimmed one's are, for so many pieces."""

    pieces: int
    whole_mb: float = 0.0
    compact_mb: float = 0.0

    def size_mb(self, pieces: int) -> float:
        """Return the megabytes for a vocabulary of so many pieces, trimmed unless it is the whole."""
        return self.whole_mb if pieces >= self.pieces else self.compact_mb * pieces / max(1, self.pieces)


@dataclass(frozen=True)
class CostModel:
    """What was learned of a machine.

    Attributes:
        laws: of time, by precision and threads.
        sizes: of files and memory.
        tokenizer: its files, which are part of every model.
        source: ``fitted``, ``cached`` or ``journal``.
        seconds: that fitting or checking it took.
    """

    laws: Mapping[PrecisionThreads, Law]
    sizes: SizeLaw
    tokenizer: TokenizerFiles = TokenizerFiles(1)
    source: str = "fitted"
    seconds: float = 0.0

    @classmethod
    def fit(cls, measured: Measured, table_width: int | None = None) -> CostModel:
        """Fit the model to what was measured on a grid.

        Args:
            measured: see there.
            table_width: of the embeddings, where it does not follow the hidden width.
        """
        laws = {key: fit_law(samples) for key, samples in measured.times.items()}
        return cls(laws, fit_sizes(measured.weighed, table_width))

    @property
    def error(self) -> float:
        """Median relative error of the median call for shapes that the fit did not see."""
        return float(np.median([law.error for law in self.laws.values()]))

    def predict(
        self,
        shape: Shape,
        int8: bool,
        *,
        batch: int,
        tokens: int,
        threads: int,
        chunks: int = 1,
        tokenizer: Path | None = None,
    ) -> dict[str, Any]:
        """Return the metrics of a shape as measuring them would.

        Args:
            shape: its vocabulary counts for size and memory.
            int8: int8 products, else fp32.
            batch: texts per call.
            tokens: per sequence.
            threads: of the call; counts between those that were measured are interpolated.
            chunks: sequences per text, where long texts are read in chunks.
            tokenizer: folder of the tokenizer it will have; else its size follows from the pieces.

        Returns:
            ``latency_ms``, ``throughput_per_s``, ``size_mb`` and, where it was measured, ``peak_memory_mb``; the
            interval of p95 is that of the model's own error.
        """
        tokens = min(tokens, shape.positions)
        p50 = self._at(int8, threads, lambda law: law.p50(shape, batch * chunks, tokens))
        p95 = self._at(int8, threads, lambda law: law.p95(shape, batch * chunks, tokens))
        mean = p50 * self._at(int8, threads, lambda law: law.mean)
        large = self._at(int8, threads, lambda law: law.p50(shape, LARGE_BATCH * chunks, tokens))
        wrong = self._at(int8, threads, lambda law: law.error95)
        interval = [round(p95 / (1 + wrong), 4), round(p95 * (1 + wrong), 4)]
        size = self.size_mb(shape, int8, tokenizer)
        said = {"mean": round(mean, 4), "p50": round(p50, 4), "p95": round(p95, 4), "ci95": interval}
        metrics: dict[str, Any] = {
            "latency_ms": {**said, "batch": batch, "tokens": tokens, "threads": threads},
            "throughput_per_s": round(1000 * LARGE_BATCH / large, 2),
            "size_mb": round(size, 4),
        }
        memory = self.sizes.peak_memory_mb(shape, int8, batch * chunks, tokens)
        return metrics if memory is None else {**metrics, "peak_memory_mb": round(memory, 2)}

    def size_mb(self, shape: Shape, int8: bool, tokenizer: Path | None = None) -> float:
        """Return the megabytes of the serving files; without a folder the tokenizer's follow from the pieces."""
        files = self.tokenizer.size_mb(shape.vocabulary) if tokenizer is None else tokenizer_mb(tokenizer)
        return self.sizes.size_mb(shape, int8) + files

    def parts(
        self, shape: Shape, int8: bool, *, batch: int, tokens: int, threads: int, chunks: int = 1
    ) -> dict[str, float]:
        """Return where the time of the median call goes, in milliseconds; see `predict` and `Law.parts`."""
        shares = self._shares(int8, threads)
        found: dict[str, float] = {}
        for law, share in shares:
            for name, value in law.parts(shape, batch * chunks, min(tokens, shape.positions)).items():
                found[name] = found.get(name, 0.0) + share * value
        return found

    def with_tokenizer(self, folder: Path, pieces: int) -> CostModel:
        """Return the model for a tokenizer of so many pieces."""
        whole = tokenizer_mb(folder)
        file = folder / "tokenizer.json"
        plain = file.read_text(encoding="utf-8")
        compact = len(json.dumps(json.loads(plain), ensure_ascii=False, separators=(",", ":")).encode())
        saved = (file.stat().st_size - compact) / 1e6
        return replace(self, tokenizer=TokenizerFiles(pieces, whole, whole - saved))

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        laws = [{"int8": int8, "threads": threads, **law.to_dict()} for (int8, threads), law in self.laws.items()]
        return {
            "laws": laws,
            "sizes": self.sizes.to_dict(),
            "tokenizer": vars(self.tokenizer),
            "source": self.source,
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> CostModel:
        """Read what `to_dict` wrote."""
        laws = {(bool(law["int8"]), int(law["threads"])): Law.from_dict(law) for law in content["laws"]}
        tokenizer = TokenizerFiles(**content["tokenizer"])
        return cls(laws, SizeLaw.from_dict(content["sizes"]), tokenizer, content["source"], content["seconds"])

    def _at(self, int8: bool, threads: int, ask: Callable[[Law], float]) -> float:
        return sum(share * ask(law) for law, share in self._shares(int8, threads))

    def _shares(self, int8: bool, threads: int) -> list[tuple[Law, float]]:
        """Return laws and their shares: time is taken as linear in the reciprocal of the threads (Amdahl's law)."""
        known = sorted(count for precision, count in self.laws if precision == int8)
        below = max((count for count in known if count <= threads), default=known[0])
        above = min((count for count in known if count >= threads), default=known[-1])
        if below == above:
            return [(self.laws[int8, below], 1.0)]
        share = (1 / threads - 1 / above) / (1 / below - 1 / above)
        return [(self.laws[int8, below], share), (self.laws[int8, above], 1 - share)]

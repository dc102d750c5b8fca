"""Summaries that the finished model writes: measured by ROUGE beside those that cost nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.export.summarizer_bundle import Summarizing, add_graphs, can_export
from lighten.measure.summaries import compare_summaries, usual_length
from lighten.models.long_texts import Long, fit_texts
from lighten.models.tokens import lengths, read_tokenizer, special_ends
from lighten.models.writing import Writing, generation_config, write_summaries
from lighten.runtime.chunk_and_merge import summarise_long
from lighten.tasks.encode import long_of
from lighten.tasks.job import Job, group_numbers

METRIC = "rougeL"
"""Of the measures, the one that is the quality; the others stand beside it."""
PARTS = ("validation", "test")
SAMPLES = 3
"""Texts kept for the self-test of the folder."""
CLOSING_SHARE = 0.25
"""Of the time left on a clock that measuring summaries may take; where it would take more, fewer are measured."""


class Written:
    """Writes and measures the summaries of a part's documents.

    Args:
        job: of the user.
        limit: tokens the model reads.
        writes: tokens the model can write; None where nothing limits it.

    Raises:
        InputError: summaries may be as long as the pieces they are of, so that joining them shortens nothing.
    """

    def __init__(self, job: Job, limit: int, writes: int | None = None) -> None:
        self.job, self.how = job, job.recipe.generate
        # One position is the start token's.
        most = min(self.how.max_tokens, (writes or self.how.max_tokens + 1) - 1)
        self.limit = min(limit, self.how.chunk or limit)
        if self.how.chunk is not None and most >= self.limit:
            raise InputError(
                f"a piece must be longer than its summary: pieces have {self.limit} tokens (chunk {self.how.chunk}, "
                f"model {limit}), summaries up to {most} (generate.max_tokens {self.how.max_tokens})",
                "generate.chunk",
            )
        self.writing = Writing(self.how.beams, most, self.how.length_penalty, self.how.no_repeat)
        self.tokenizer = read_tokenizer(job.source)

    def prepare(self, model: Any) -> None:
        """Give the model the way of writing: plain transformers then writes the same from its checkpoint."""
        model.generation_config = generation_config(model, self.writing)

    def deliver(self, folder: Path) -> None:
        """Draw the finished checkpoint as ONNX graphs beside its weights, where its type can be drawn."""
        if not can_export(folder):
            self.job.progress.note("this type of model is not exported to ONNX; the checkpoint runs in transformers")
            return
        how = Summarizing(
            self.limit,
            self.job.recipe.target.threads,
            self.writing.beams,
            self.writing.max_tokens,
            self.writing.length_penalty,
            self.writing.no_repeat,
            chunked=self.how.chunk is not None,
            again=self.how.again,
            long=Long() if self.how.chunk else long_of(self.job),
        )
        add_graphs(folder, how, samples=self.job.examples("validation").texts[:SAMPLES])

    def closing_time(self, model: Any) -> float:
        """Return the seconds that measuring will take: a clock keeps them free.

        Timed before the training on the text of middle length: one alone, since a long one may take minutes. A model
        that knows nothing rarely stops early, so it is rather too much; and it is no more than `CLOSING_SHARE` of the
        time left, in which as many texts are measured as fit.
        """
        count = sum(len(self._places(part)) for part in PARTS)
        texts = sorted((self.job.examples("validation").texts[at] for at in self._places("validation")), key=len)
        begun = time.perf_counter()
        self.write(model, texts[len(texts) // 2 :][:1])
        each = time.perf_counter() - begun
        return float(min(each * count, CLOSING_SHARE * max(0.0, self.job.clock.left)))

    def measured(self, model: Any, found: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
        """Return the quality as result.json holds it: ROUGE-L of the summaries, with all that belongs to it.

        Args:
            model: the finished one.
            found: the quality so far: perplexities.
            seconds: stop in about this time, each part with at least one document.
        """
        quality: dict[str, Any] = {"metric": METRIC, "watched": found["metric"], found["metric"]: {}, "summaries": {}}
        length = usual_length(self.job.examples("train").more["summary"])
        begun = time.perf_counter()
        for number, part in enumerate(PARTS, 1):
            examples, places = self.job.examples(part), self._places(part)
            left = None if seconds is None else seconds * number / len(PARTS) - (time.perf_counter() - begun)
            summaries = self._within(model, [examples.texts[place] for place in places], left)
            places, groups = places[: len(summaries)], group_numbers(examples)
            compared = compare_summaries(
                [examples.texts[place] for place in places],
                [examples.more["summary"][place] for place in places],
                {"model": summaries},
                length,
                self.job.recipe.seed,
                groups=None if groups is None else groups[places],
            )
            value = compared["systems"]["model"][METRIC]
            quality[part] = {"metric": METRIC, **value, "n": len(places)}
            quality[found["metric"]][part] = found[part]
            quality["summaries"][part] = {**compared, "examples": examples_of(examples, places, summaries)}
        return quality

    def write(self, model: Any, texts: list[str]) -> list[str]:
        """Return a summary per text; longer texts are cut into pieces where the recipe says so, else at the limit."""
        opening, closing = special_ends(self.tokenizer)

        def write(pieces: list[str]) -> list[str]:
            self.tokenizer.no_truncation()
            encoded = [np.array(item.ids, np.int32) for item in self.tokenizer.encode_batch_fast(pieces)]
            long = Long() if self.how.chunk else long_of(self.job)
            fitted = fit_texts(encoded, self.limit, long, opening, closing, pieces, self.tokenizer)
            written = write_summaries(model, fitted.encoded, self.writing, tick=self.job.tick)
            return [text.strip() for text in self.tokenizer.decode_batch([ids.tolist() for ids in written])]

        if self.how.chunk is None:
            return write(texts)
        return summarise_long(texts, write, lambda parts: lengths(self.tokenizer, parts).tolist(), self.limit,
                              self.how.again)  # fmt: skip

    def _within(self, model: Any, texts: list[str], seconds: float | None) -> list[str]:
        """Write one text, then in steps that double until the time is up; without a limit all at once."""
        if seconds is None:
            return self.write(model, texts)
        found: list[str] = []
        begun, step = time.perf_counter(), 1
        while len(found) < len(texts):
            found += self.write(model, texts[len(found) : len(found) + step])
            spent = time.perf_counter() - begun
            each = spent / len(found)
            step = min(2 * step, int((seconds - spent) / each))
            if step < 1:
                break
        return found

    def _places(self, part: str) -> list[int]:
        """Return which documents of a part are measured, in an order drawn from the seed."""
        order = np.random.default_rng(self.job.recipe.seed).permutation(len(self.job.examples(part)))
        return [int(place) for place in order[: self.how.documents]]


def examples_of(examples: Any, places: list[int], summaries: list[str], count: int = 3) -> list[dict[str, Any]]:
    """Return a few documents with what people and the model wrote."""
    return [
        {"row": examples.rows[place], "reference": examples.more["summary"][place], "model": summary}
        for place, summary in list(zip(places, summaries, strict=True))[:count]
    ]

"""Sequence-to-sequence: summaries with teacher forcing, through any encoder-decoder of transformers."""

from __future__ import annotations

from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.attention.pattern import NOTE
from lighten.models.auto import first_token_global, hidden_width, load_auto, positions_of, written_positions
from lighten.models.checkpoint import read_config
from lighten.models.layout import LAYOUTS
from lighten.models.warm_start import load_from_encoder
from lighten.tasks.encode import fitted
from lighten.tasks.interval import perplexity, tokens_per_batch
from lighten.tasks.job import PARTS, Built, Job, Quality, Setup
from lighten.tasks.modify import modified
from lighten.tasks.policy import limit_of, order_of, peak_rate, tokens_per_step
from lighten.tasks.written import Written
from lighten.train.datasets.pairs import PairRows
from lighten.train.evaluate import Losses, losses_of
from lighten.train.objectives import SequenceToSequence
from lighten.train.precision import Precision
from lighten.train.sampler import Sampler
from lighten.train.settings import Look

SUMMARY_TOKENS = 256
"""Longest summary learned."""
FULL_ATTENTION_TOKENS = 1024
"""Of a text that a model with full attention reads unless the recipe asks for more: it costs their square."""
WINDOWED = ("led", "bigbird_pegasus", "pegasus_x")
"""Encoder-decoders whose encoder attends within windows or blocks of itself."""
ENCODERS = (*LAYOUTS, "mpnet", "deberta-v2")
"""Model types that have no decoder."""


class Summarize:
    """The task with its data at hand; `setup` gives the loop what it needs."""

    def __init__(self, job: Job) -> None:
        self.job, self.recipe, self.train = job, job.recipe, job.recipe.train
        model = self._load()
        self.limit = self._limit(model)
        self.width = hidden_width(model)
        self.written = Written(self.job, self.limit, written_positions(model))
        self.pairs = {part: self._pairs(part, model) for part in PARTS}
        self._loaded: Any = model
        self._last = Losses([], [])

    def _limit(self, model: Any) -> int:
        """Return the tokens read of a text: asked for, or all the model takes where that costs no square of them."""
        positions = positions_of(model)
        limit = limit_of(self.train.max_tokens, positions, None if reads_in_windows(model) else FULL_ATTENTION_TOKENS)
        if positions is not None and limit < positions and self.train.max_tokens is None:
            self.job.progress.note(
                f"texts are read up to {limit:,} of the {positions:,} tokens that the model takes, since it attends "
                "fully; train.max_tokens asks for more"
            )
        return limit

    def _load(self) -> Any:
        if self.train.from_encoder:
            return load_from_encoder(self.job.source, self.recipe.seed, self.train.dropout)
        kind = str(read_config(self.job.source).get("model_type"))
        if kind in ENCODERS:
            raise InputError(
                f"model type {kind!r} only reads; train.from_encoder: true makes an encoder-decoder of it", "model"
            )
        return load_auto(
            self.job.source,
            "seq2seq",
            seed=self.recipe.seed,
            dropout=self.train.dropout,
            from_scratch=self.train.from_scratch,
        )

    def _pairs(self, part: str, model: Any) -> PairRows:
        examples = self.job.examples(part)
        sources = fitted(self.job, part, examples.texts, self.limit)
        longest = min(SUMMARY_TOKENS, written_positions(model) or SUMMARY_TOKENS)
        targets = fitted(self.job, part, examples.more["summary"], longest, "long_summaries", "truncate").encoded
        start = getattr(model.config, "decoder_start_token_id", None)
        if start is not None:
            # A decoder that starts with what the tokenizer puts in front need not learn to write it once more.
            targets = [ids[1:] if len(ids) > 1 and ids[0] == start else ids for ids in targets]
        if start is None and model.config.model_type != "mbart":
            start = model.config.pad_token_id
        pad = int(model.config.pad_token_id or 0)
        return PairRows(sources.encoded, targets, pad, start, first_token_global(model))

    def build(self) -> Built:
        """Load the model and modify it as the recipe says."""
        model, self._loaded = self._loaded or self._load(), None
        self.written.prepare(model)
        return modified(model, self.train)

    def setup(self) -> Setup:
        """Return what the loop needs."""
        dataset = self.pairs["train"]
        budget = tokens_per_step(self.train, dataset.lengths)
        order = order_of(self.train, self.job.examples("train"), dataset.lengths, np.arange(len(dataset.lengths)))
        tokens = {part: int(self.pairs[part].lengths.sum()) for part in PARTS}
        setup = Setup(
            build=self.build,
            sampler=Sampler(dataset, budget, self.recipe.seed, order),
            objective=SequenceToSequence(self.train.label_smoothing),
            validate=self.look,
            judge=self.judge,
            metric="perplexity",
            rate=peak_rate(1e-3 if self.train.from_scratch else 1e-4, self.width),
            restore_margin=0.02,
            test_share=tokens["test"] / max(1, tokens["validation"]),
            predicted_share=float(dataset.target_lengths.sum() / dataset.lengths.sum()),
            facts={"tokens": tokens, "max_tokens": self.limit},
        )
        written = self.written
        setup.deliver = written.deliver
        if self.recipe.generate.documents != 0:
            timed = self.job.clock.budget is not None
            setup.closing_time = written.closing_time if timed else None
            setup.closing = lambda model, found: written.measured(
                model, found, max(setup.closing_seconds, 1.0) if timed else None
            )
        return setup

    def look(self, model: Any, precision: Precision) -> Look:
        """Mean loss per target token on the validation part; the score is its negative, so that more is better."""
        job = self.job
        self._last = self._losses(model, "validation", precision, strategy=job.strategy, tick=job.tick)
        return Look(-self._last.mean, self._last.mean)

    def _losses(self, model: Any, part: str, precision: Precision, **options: Any) -> Losses:
        rows = self.pairs[part]
        return losses_of(
            model, rows, SequenceToSequence(), precision, budget=tokens_per_batch(rows.lengths), **options
        )

    def judge(self, model: Any, part: str, precision: Precision) -> Quality:
        """Measure the finished model's perplexity per target token, with an interval over batches of texts."""
        if model is not None:
            self._last = self._losses(model, part, precision)
        interval = perplexity(self._last, self.recipe.seed)
        return Quality("perplexity", interval, self._last.total, higher_is_better=False)


def reads_in_windows(model: Any) -> bool:
    """Return whether the time of an encoder-decoder's reading is linear in the length: LED, or an extended encoder."""
    if model.config.model_type in WINDOWED:
        return getattr(model.config, "attention_type", "block_sparse") == "block_sparse"
    return getattr(getattr(model.config, "encoder", None), NOTE, None) is not None

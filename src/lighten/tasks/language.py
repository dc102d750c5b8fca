"""Language modelling: masked or causal, from scratch, continued or fine-tuned; as texts, packed, or as one stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.auto import hidden_width, load_auto, positions_of, special_tokens
from lighten.models.tokens import Ids, read_tokenizer
from lighten.tasks.interval import perplexity, tokens_per_batch
from lighten.tasks.job import PARTS, Built, Job, Quality, Setup
from lighten.tasks.modify import modified
from lighten.tasks.policy import limit_of, order_of, peak_rate, tokens_per_step
from lighten.train.datasets.dataset import Dataset
from lighten.train.datasets.masked import MaskedRows
from lighten.train.datasets.packed import PackedBlocks, Tokens
from lighten.train.datasets.pieces import Pieces
from lighten.train.datasets.streams import Streams
from lighten.train.datasets.token_store import TokenStore
from lighten.train.datasets.tokenised import tokenised
from lighten.train.evaluate import Losses, losses_of
from lighten.train.objectives import CausalLanguageModel, CausalStream, MaskedLanguageModel, Objective
from lighten.train.orders import Order, Sequential
from lighten.train.precision import Precision
from lighten.train.sampler import Sampler
from lighten.train.settings import Look

STREAM_ROWS = 8
"""Parallel streams at most that a text is dealt into for truncated back-propagation."""
ENCODERS = ("ForMaskedLM", "ForSequenceClassification")
PER_MINUTE = 4000
"""Tokens of a look at validation for each minute of the clock: held-out text may be longer than what is trained on."""


class LanguageModeling:
    """The task with its data at hand; `setup` gives the loop what it needs."""

    def __init__(self, job: Job) -> None:
        self.job, self.recipe, self.train = job, job.recipe, job.recipe.train
        self.special = special_tokens(job.source)
        self.kind = self._kind()
        if self.kind == "masked" and "mask" not in self.special:
            raise InputError("masked language modelling needs a mask token; the tokenizer has none", str(job.source))
        model = self._load()
        self.pad_id = int(model.config.pad_token_id or 0)
        self.vocabulary = int(model.config.vocab_size)
        self.width = hidden_width(model)
        train = self.train
        self.limit = limit_of(train.segment or train.block or train.max_tokens, positions_of(model), 512)
        self.encoded = {part: self._some(part, self._encode(part)) for part in PARTS}
        self.datasets = {part: self._dataset(part) for part in PARTS}
        self._loaded: Any = model
        self._last = Losses([], [])

    def _kind(self) -> str:
        """Return ``masked`` or ``causal``: as asked for, else as the model is made."""
        from lighten.models.checkpoint import read_config

        if self.train.objective != "auto":
            return self.train.objective
        if self.train.segment is not None:
            return "causal"
        config = read_config(self.job.source)
        names = [str(name) for name in config.get("architectures") or []]
        if any(name.endswith("ForCausalLM") for name in names):
            return "causal"
        return "masked" if "mask" in self.special and not any(n.endswith("LMHeadModel") for n in names) else "causal"

    def _load(self) -> Any:
        train = self.train
        return load_auto(
            self.job.source,
            self.kind,
            seed=self.recipe.seed,
            dropout=train.dropout,
            from_scratch=train.from_scratch,
        )

    def _encode(self, part: str) -> TokenStore:
        """Return a part's documents, tokenised once by the first process and read through memory maps.

        Causal models see them one after another, each closed by an end token.
        """
        job, texts = self.job, self.job.examples(part).texts
        tokenizer, masked = read_tokenizer(job.source), self.kind == "masked"
        end = None if masked else self.special.get("eos", self.special.get("sep", self.pad_id))
        return job.group.first(lambda: tokenised(job.work / "tokens", tokenizer, texts, end_id=end, special=masked))

    def _some(self, part: str, encoded: TokenStore) -> Sequence[Ids]:
        """Return the documents of a held-out part that are judged: whole ones, drawn with the seed."""
        wanted, clock = self.train.held_out_tokens, self.recipe.clock_seconds
        if part == "train" or wanted == "all" or (wanted == "auto" and clock is None):
            return encoded
        most = wanted if isinstance(wanted, int) else int(PER_MINUTE * (clock or 0.0) / 60)
        lengths = encoded.lengths - (self.kind == "causal")  # the end token is no part of the document
        order = np.random.default_rng(self.seed).permutation(len(encoded))
        enough = int(np.searchsorted(np.cumsum(lengths[order]), most * (2 if part == "test" else 1))) + 1
        chosen = np.sort(order[:enough])
        if len(chosen) < len(encoded):
            tokens = int(lengths[chosen].sum())
            self.job.facts.setdefault("judged_on", {})[part] = {"texts": len(chosen), "tokens": tokens}
            self.job.progress.note(f"{part}: judged on {len(chosen):,} of {len(encoded):,} texts, {tokens:,} tokens")
        return [encoded[index] for index in chosen]

    def _dataset(self, part: str) -> Dataset:
        """Return a part as rows: masked texts cut into pieces of the limit, packed blocks, or a stream."""
        train, encoded = self.train, self.encoded[part]
        if self.kind == "masked":
            rows = Pieces(encoded, self.limit, self.special.get("cls"))
            special = sorted({number for name, number in self.special.items() if name != "unk"} | {self.pad_id})
            return MaskedRows(
                rows, self.pad_id, self.special["mask"], self.vocabulary, special, train.mask_probability, self.seed
            )
        stream: Tokens = encoded.flat if isinstance(encoded, TokenStore) else np.concatenate(encoded)
        if train.segment is not None and part == "train":
            side_by_side = max(1, min(STREAM_ROWS, len(stream) // (4 * train.segment)))
            return Streams(stream, side_by_side, train.segment)
        return PackedBlocks(stream, self.limit)

    @property
    def seed(self) -> int:
        """Of masks and order."""
        return int(self.recipe.seed)

    def build(self) -> Built:
        """Load the model and modify it as the recipe says."""
        model, self._loaded = self._loaded or self._load(), None
        return modified(model, self.train)

    def objective(self) -> Objective:
        """Return the loss in training."""
        if self.kind == "masked":
            return MaskedLanguageModel()
        if self.train.segment is not None:
            stream = self.datasets["train"]
            assert isinstance(stream, Streams)
            return CausalStream(stream.streams, stream.segment, self.train.memory or stream.segment)
        return CausalLanguageModel()

    def setup(self) -> Setup:
        """Return what the loop needs."""
        dataset = self.datasets["train"]
        order: Order
        if isinstance(dataset, Streams):
            order, budget = Sequential(dataset.streams), dataset.streams * dataset.segment
        else:
            order = order_of(self.train, self.job.examples("train"), dataset.lengths, np.arange(len(dataset.lengths)))
            budget = tokens_per_step(self.train, dataset.lengths)
        tokens = {part: int(self.datasets[part].lengths.sum()) for part in PARTS}
        return Setup(
            build=self.build,
            sampler=Sampler(dataset, budget, self.seed, order),
            objective=self.objective(),
            validate=self.look,
            judge=self.judge,
            metric="perplexity",
            rate=peak_rate(1e-3 if self.train.from_scratch else 2e-4, self.width),
            restore_margin=0.02,
            test_share=tokens["test"] / max(1, tokens["validation"]),
            predicted_share=self.train.mask_probability if self.kind == "masked" else 1.0,
            facts={"objective": self.kind, "tokens": tokens, "max_tokens": self.limit},
        )

    def _evaluation(self) -> Objective:
        return MaskedLanguageModel() if self.kind == "masked" else CausalLanguageModel()

    def look(self, model: Any, precision: Precision) -> Look:
        """Mean loss per predicted token on the validation part; the score is its negative, so that more is better."""
        job = self.job
        self._last = self._losses(model, "validation", precision, strategy=job.strategy, tick=job.tick)
        return Look(-self._last.mean, self._last.mean)

    def _losses(self, model: Any, part: str, precision: Precision, **options: Any) -> Losses:
        rows = self.datasets[part]
        budget = tokens_per_batch(rows.lengths)
        return losses_of(model, rows, self._evaluation(), precision, budget=budget, **options)

    def judge(self, model: Any, part: str, precision: Precision) -> Quality:
        """Measure the finished model's perplexity, with an interval over batches of rows."""
        if model is not None:
            self._last = self._losses(model, part, precision)
        return Quality("perplexity", perplexity(self._last, self.seed), self._last.total, higher_is_better=False)

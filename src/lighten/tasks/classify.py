"""Text classification: one label per text, or any number of them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from lighten.errors import InputError
from lighten.measure.quality import compare
from lighten.measure.statistics import mean_interval
from lighten.models.auto import hidden_width, load_auto, positions_of
from lighten.models.embeddings import Narrowing, narrowed
from lighten.models.freeze import top_only
from lighten.models.load import suit_attention
from lighten.models.long_texts import Fitted, Index, pool_by_text
from lighten.models.norms import set_norm
from lighten.models.tokens import Ids
from lighten.pipeline import read_json
from lighten.pipeline.examples import Examples
from lighten.tasks.encode import fitted, long_of
from lighten.tasks.frozen import Frozen
from lighten.tasks.job import Built, Job, Quality, Setup, group_numbers
from lighten.tasks.modify import modified
from lighten.tasks.policy import limit_of, order_of, peak_rate, tokens_per_step
from lighten.train.batches import pad
from lighten.train.datasets.dataset import Dataset, TextRows
from lighten.train.datasets.documents import Documents
from lighten.train.infer import infer, infer_rows
from lighten.train.objectives import (
    Classification,
    MultiLabel,
    Objective,
    Pooled,
    RowObjective,
    class_weights,
    positive_weights,
)
from lighten.train.precision import Precision
from lighten.train.sampler import Sampler
from lighten.train.settings import Look

CALIBRATION_TOKENS = 4096
"""Of the texts that other norms are fitted on."""


class Classify:
    """The task with its data at hand; `setup` gives the loop what it needs."""

    def __init__(self, job: Job) -> None:
        self.job, self.recipe, self.train = job, job.recipe, job.recipe.train
        self.many = self.recipe.data.multi_label
        self.labels: list[str] = read_json(job.table / "labels.json")
        self.examples = {part: job.examples(part) for part in ("train", "validation", "test")}
        model = self._load()
        self.pad_id = int(model.config.pad_token_id or 0)
        self.width = hidden_width(model)
        self.limit = limit_of(self.train.max_tokens, positions_of(model))
        self.texts = {part: self._encode(part) for part in self.examples}
        self.hierarchical = long_of(job).hierarchical
        self.whole = Narrowing([ids for part in self.texts.values() for ids in part.encoded], range(self.pad_id + 1))
        self.narrow = not self.train.freeze and self.train.lora is None
        self._last = torch.empty(0)
        # The first `build` takes it instead of reading it again.
        self._loaded: Any = self._with_norm(model)
        self.frozen = Frozen(job, self.texts, self.pad_id, self.width)
        self.cached = self.frozen.wanted(model)

    def _load(self) -> Any:
        train = self.train
        return load_auto(
            self.job.source,
            "classifier",
            seed=self.recipe.seed,
            dropout=train.dropout,
            labels=self.labels,
            multi_label=self.many,
            from_scratch=train.from_scratch,
        )

    def _fitted(self) -> Any:
        return self._with_norm(self._load())

    def _with_norm(self, model: Any) -> Any:
        """Put in the norms that the recipe asks for, fitted on a batch of training texts."""
        if self.train.norm != "layer":
            set_norm(model, self.train.norm, self._some_texts())
        return model

    def _encode(self, part: str) -> Fitted:
        """Token ids of a part, fitted to the model's limit, and what that cost."""
        return fitted(self.job, part, self.examples[part].texts, self.limit)

    def build(self) -> Built:
        """Load the model and modify it as the recipe says."""
        model, self._loaded = self._loaded or self._fitted(), None
        suit_attention(model, max(len(ids) for part in self.texts.values() for ids in part.encoded))
        built = modified(model, self.train)
        if self.cached:
            built.undo.enter_context(top_only(model, self.train.freeze))
        if self.narrow:
            built.undo.enter_context(narrowed(model, self.whole))
        return built

    def _some_texts(self) -> dict[str, torch.Tensor]:
        """Return one batch of training texts, for the norms to be fitted on."""
        encoded = self.texts["train"].encoded
        lengths = np.cumsum([len(ids) for ids in encoded])
        rows = np.arange(max(1, int(np.searchsorted(lengths, CALIBRATION_TOKENS))))
        return pad(encoded, rows, self.pad_id).inputs

    def rows(self, part: str) -> Dataset:
        """Return a part as the model in training takes it: token ids, or activations of the frozen layers."""
        if not self.cached:
            return TextRows(*self.ids(part))
        return self.frozen.rows(part, self._whole_model)

    def _whole_model(self) -> Any:
        """Return the model as it starts; the first `build` takes it."""
        self._loaded = self._loaded or self._fitted()
        return self._loaded

    def ids(self, part: str) -> tuple[list[Ids], int]:
        """Return a part's token ids and the padding token, as the model in training counts them."""
        encoded = list(self.texts[part].encoded)
        return (self.whole(encoded), self.whole.one(self.pad_id)) if self.narrow else (encoded, self.pad_id)

    def targets(self, part: str) -> torch.Tensor:
        """Return the labels of a part's examples: [n], or [n, classes] of 0 and 1; see `_owner`."""
        examples, owner = self.examples[part], self._owner(part)
        if not self.many:
            return torch.tensor(examples.labels)[torch.from_numpy(owner)]
        found = torch.zeros(len(examples), len(self.labels))
        for row, several in enumerate(examples.more["labels"]):
            found[row, several] = 1.0
        return found[torch.from_numpy(owner)]

    def _owner(self, part: str) -> Index:
        """Return the text that each example is of: itself where texts are examples whole, else that of the chunk."""
        return np.arange(len(self.examples[part])) if self.hierarchical else self.texts[part].owner

    def objective(self) -> Objective:
        """Return the loss on the training labels."""
        loss = self._loss()
        return Pooled(loss) if self.hierarchical else loss

    def _loss(self) -> RowObjective:
        targets = self.targets("train")
        weights = self._weights(targets)
        if self.many:
            return MultiLabel(targets, weights)
        return Classification(targets, weights, self.train.label_smoothing)

    def _weights(self, targets: torch.Tensor) -> torch.Tensor | None:
        given = self.train.class_weights
        if given == "none":
            return None
        if isinstance(given, dict):
            strange = sorted(set(given) - set(self.labels))
            if strange:
                raise InputError(f"{strange[0]!r} is no label; known are {self.labels}", "train.class_weights")
            return torch.tensor([float(given.get(label, 1.0)) for label in self.labels])
        return positive_weights(targets) if self.many else class_weights(targets, len(self.labels))

    def setup(self) -> Setup:
        """Return what the loop needs."""
        dataset = self.rows("train")
        if self.hierarchical:
            dataset = Documents(dataset, self.texts["train"].owner, self.recipe.seed)
        budget = tokens_per_step(self.train, dataset.lengths)
        order = order_of(self.train, self.examples["train"], dataset.lengths, self._owner("train"))
        tokens = {part: sum(len(ids) for ids in self.texts[part].encoded) for part in self.texts}
        return Setup(
            build=self.build,
            sampler=Sampler(dataset, budget, self.recipe.seed, order),
            objective=self.objective(),
            validate=partial(self.look, self.rows("validation")),
            judge=self.judge,
            metric=self.metric,
            rate=peak_rate(2e-4, self.width),
            restore_margin=1.5,
            test_share=tokens["test"] / max(1, tokens["validation"]),
            facts={"labels": self.labels, "tokens": tokens, "max_tokens": self.limit, "cached": self.cached},
            ahead_seconds=self.frozen.seconds if self.cached and self.job.only_plan else 0.0,
        )

    @property
    def metric(self) -> str:
        """Name of the score."""
        return "f1_samples" if self.many else "accuracy"

    def look(self, rows: Dataset, model: Any, precision: Precision) -> Look:
        """Score the model in training on the validation part."""
        logits = infer_rows(model, rows, precision, tick=self.job.tick, strategy=self.job.strategy).logits
        self._last = logits
        if self.hierarchical:
            logits = torch.from_numpy(self._by_text("validation", logits))
        targets = self.targets("validation")
        if self.many:
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        else:
            loss = torch.nn.functional.cross_entropy(logits, targets)
        scores = self._scores("validation", self._last)
        return Look(float(scores.mean() * 100), float(loss))

    def _by_text(self, part: str, logits: torch.Tensor) -> Any:
        """Return the logits of whole texts [texts, classes]."""
        return pool_by_text(logits.numpy(), self.texts[part].owner, long_of(self.job).pool)

    def _scores(self, part: str, logits: torch.Tensor) -> Any:
        """Return the score of each text, 0 to 1: right or wrong, or the F1 of its labels."""
        joined = self._by_text(part, logits)
        examples: Examples = self.examples[part]
        if not self.many:
            return (joined.argmax(1) == np.array(examples.labels)).astype(np.float64)
        said = joined > 0
        truth = np.zeros_like(said)
        for row, several in enumerate(examples.more["labels"]):
            truth[row, several] = True
        both, sizes = (said & truth).sum(1), said.sum(1) + truth.sum(1)
        return np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), 1.0)

    def judge(self, model: Any, part: str, precision: Precision) -> Quality:
        """Measure the finished model on a part, with an interval."""
        encoded = list(self.texts[part].encoded)
        logits = self._last if model is None else infer(model, encoded, self.pad_id, precision).logits
        examples = self.examples[part]
        if self.many:
            interval = mean_interval(100 * self._scores(part, logits), group_numbers(examples), self.recipe.seed)
        else:
            said = self._by_text(part, logits).argmax(1)
            truth, groups = np.array(examples.labels), group_numbers(examples)
            seed = self.recipe.seed
            interval = compare(truth, said, said, len(self.labels), seed=seed, groups=groups).candidate
        return Quality(self.metric, interval, len(examples))

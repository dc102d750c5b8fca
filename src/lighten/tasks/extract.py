"""Extractive summaries: an encoder learns how much of each sentence is in the summary (Liu & Lapata 2019).

What is learned of a sentence is the share of its words that the reference has, ROUGE-1's precision: a summary of so
many words that has the most of the reference is then made of the sentences with the highest scores. Texts of any
length are read in pieces of whole sentences.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lighten.errors import InputError
from lighten.export.extractor_bundle import add_scoring_graph, can_export, set_words
from lighten.measure.rouge import rouge_scores
from lighten.measure.statistics import mean_interval
from lighten.measure.summaries import compare_summaries, same_length, usual_length
from lighten.models.auto import hidden_width, load_auto, positions_of
from lighten.models.checkpoint import read_config
from lighten.models.load import suit_attention
from lighten.runtime.extract import Extractor
from lighten.runtime.folder import read_folder
from lighten.runtime.sentence_pieces import Scores
from lighten.runtime.sentences import sentences_of
from lighten.tasks.job import PARTS, Built, Job, Quality, Setup, group_numbers
from lighten.tasks.modify import modified
from lighten.tasks.policy import limit_of, order_of, peak_rate, tokens_per_step
from lighten.tasks.sentence_part import SentencePart
from lighten.tasks.written import METRIC, SAMPLES, examples_of
from lighten.train.batches import Index, plan_batches
from lighten.train.evaluate import place
from lighten.train.objectives import Extraction
from lighten.train.precision import Precision
from lighten.train.sampler import Sampler
from lighten.train.settings import Look

BUDGET = 4096
"""Tokens of a batch of a look, padding included."""
TIMED = 8
"""Texts from which the time of measuring is foreseen."""
LENGTHS = (0.75, 1.0, 1.25, 1.5, 2.0)
"""Of the usual length of a summary, what is tried on the validation part: sentences of a text are often less dense
than what people write of it."""


class Extract:
    """The task with its data at hand; `setup` gives the loop what it needs."""

    def __init__(self, job: Job) -> None:
        self.job, self.recipe, self.train = job, job.recipe, job.recipe.train
        self.how = self.recipe.generate
        model = self._load()
        self.pad_id, self.width = int(model.config.pad_token_id or 0), hidden_width(model)
        self.limit = limit_of(self.train.max_tokens, positions_of(model))
        self.parts = {part: SentencePart(job, job.examples(part), self.limit, self.pad_id) for part in PARTS}
        for name, part in self.parts.items():
            if not part.pieces:
                raise InputError(f"the part {name} holds no text to choose sentences from", "data")
        self.usual = usual_length(self.parts["train"].examples.more["summary"])
        self.words = self.usual if self.how.words == "auto" else self.how.words
        self._loaded: Any = model
        self._last: list[Scores] = []
        self._judged: dict[str, list[Scores]] = {}

    def _load(self) -> Any:
        from transformers.models.auto.modeling_auto import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES as KNOWN

        train, seed = self.train, self.recipe.seed
        kind = str(read_config(self.job.source).get("model_type"))
        if kind not in KNOWN:
            raise InputError(f"model type {kind!r} says nothing of single tokens; choosing takes an encoder", "model")
        return load_auto(
            self.job.source, "extractor", seed=seed, dropout=train.dropout, from_scratch=train.from_scratch
        )

    def build(self) -> Built:
        """Load the model and modify it as the recipe says."""
        model, self._loaded = self._loaded or self._load(), None
        suit_attention(model, max(int(part.rows.lengths.max()) for part in self.parts.values()))
        return modified(model, self.train)

    def setup(self) -> Setup:
        """Return what the loop needs."""
        train = self.parts["train"]
        dataset = train.rows
        budget = tokens_per_step(self.train, dataset.lengths)
        order = order_of(self.train, train.examples, dataset.lengths, train.owner)
        tokens = {name: sum(len(piece.ids) for piece in part.pieces) for name, part in self.parts.items()}
        long = {
            name: {"cut": part.cut, "tokens_lost": part.lost, "sequences": len(part.pieces)}
            for name, part in self.parts.items()
        }
        self.job.facts["long_texts"] = long
        setup = Setup(
            build=self.build,
            sampler=Sampler(dataset, budget, self.recipe.seed, order),
            objective=Extraction(),
            validate=self.look,
            judge=self.judge,
            metric=METRIC,
            rate=peak_rate(1e-4, self.width),
            restore_margin=0.5,
            test_share=self._measured_tokens("test") / max(1, self._measured_tokens("validation")),
            facts={"tokens": tokens, "max_tokens": self.limit},
            deliver=self.deliver,
            closing=lambda _, found: self.compared(found),
        )
        setup.closing_time = None if self.job.clock.budget is None else self.closing_time
        return setup

    def look(self, model: Any, precision: Precision) -> Look:
        """ROUGE-L of the summaries of the validation part, and the loss per sentence."""
        self._last, loss = self._scored(model, "validation", precision)
        return Look(float(self._rouge("validation", self._last, self.words).mean()), loss)

    def judge(self, model: Any, part: str, precision: Precision) -> Quality:
        """Measure the finished model's summaries of a part, with an interval over the texts."""
        scores = self._last if model is None else self._scored(model, part, precision)[0]
        self._judged[part] = scores
        values = self._rouge(part, scores, self.words)
        return Quality(METRIC, mean_interval(values, self._groups(part), self.recipe.seed), len(values))

    def deliver(self, folder: Path) -> None:
        """Draw the finished checkpoint as an ONNX graph, and choose the length of its summaries with it."""
        if not can_export(folder):
            self.job.progress.note("this type of model is not exported to ONNX; the checkpoint runs in transformers")
            return
        examples = self.parts["validation"].examples
        add_scoring_graph(
            folder,
            max_tokens=self.limit,
            words=self.words,
            no_repeat=self.how.no_repeat,
            threads=self.recipe.target.threads,
            samples=[text for text in examples.texts if sentences_of(text)][:SAMPLES],
        )
        if self.how.words == "auto":
            self.words = self._best_length(Extractor(read_folder(folder), threads=torch.get_num_threads()))
            set_words(folder, self.words)

    def _best_length(self, model: Extractor) -> int:
        """Return the words with which summaries of the validation part come closest to what people wrote."""
        part = self.parts["validation"]
        scores: list[Scores] = [np.zeros(0)] * len(part.sentences)
        for at in self._places("validation").tolist():
            scores[at] = model.scores(part.examples.texts[at])[1]
            self.job.tick()
        tried = sorted({max(1, round(share * self.usual)) for share in LENGTHS})
        reached = {words: float(self._rouge("validation", scores, words).mean()) for words in tried}
        self.job.facts["summary_words"] = {str(words): round(value, 2) for words, value in reached.items()}
        return max(tried, key=lambda words: reached[words])

    def closing_time(self, model: Any) -> float:
        """Return the seconds that choosing a length and measuring will take: a clock keeps them free."""
        part, places = self.parts["validation"], self._places("validation")
        some = places[:TIMED]
        texts = [part.examples.texts[at] for at in some]
        begun = time.perf_counter()
        compare_summaries(texts, [part.examples.more["summary"][at] for at in some], {}, self.usual, 0)
        each = (time.perf_counter() - begun) / len(some)
        begun = time.perf_counter()
        self._scored(model, "validation", Precision("fp32", "timed"))
        look = time.perf_counter() - begun
        # What stands beside a summary is made twice where its length is another than the usual.
        return look + 2 * each * sum(len(self._places(name)) for name in ("validation", "test"))

    def compared(self, found: dict[str, Any]) -> dict[str, Any]:
        """Return the quality as result.json holds it, with the summaries beside those that cost nothing."""
        quality: dict[str, Any] = {**found, "watched": METRIC, "summaries": {}}
        for name in ("validation", "test"):
            part, places = self.parts[name], self._places(name)
            texts = [part.examples.texts[at] for at in places]
            summaries = part.summaries(self._judged[name], places, self.words, self.how.no_repeat)
            systems = {"model": summaries, **same_length(texts, self.words, self.usual)}
            references = [part.examples.more["summary"][at] for at in places]
            groups, seed = self._groups(name), self.recipe.seed
            compared = compare_summaries(texts, references, systems, self.usual, seed, groups=groups)
            examples = examples_of(part.examples, places.tolist(), summaries)
            quality["summaries"][name] = {**compared, "examples": examples}
        return quality

    def _scored(self, model: Any, name: str, precision: Precision) -> tuple[list[Scores], float]:
        """Return the scores of the sentences of a part's measured texts, by text, and the mean loss of a sentence."""
        part = self.parts[name]
        own = part.pieces_of(self._places(name))
        rows, device, objective = part.rows, place(model), Extraction()
        values: dict[int, Any] = {}
        model.eval()
        total = units = 0.0
        with torch.no_grad(), precision.context():
            for index in (own[chosen] for chosen in plan_batches(rows.lengths[own], BUDGET, None)):
                batch = rows.batch(index).to(device)
                logits = model(**batch.inputs).logits[..., 0].float()
                total += float(objective.compare(logits, batch))
                units += batch.units
                for row, at in enumerate(index.tolist()):
                    values[at] = logits[row, : rows.lengths[at]].cpu().numpy()
                self.job.tick()
        return part.scores(values), total / max(1.0, units)

    def _measured_tokens(self, name: str) -> int:
        part = self.parts[name]
        return int(part.rows.lengths[part.pieces_of(self._places(name))].sum())

    def _groups(self, name: str) -> Any:
        """Return what each of a part's texts that are measured belongs to; None without groups."""
        groups = group_numbers(self.parts[name].examples)
        return None if groups is None else groups[self._places(name)]

    def _rouge(self, name: str, scores: list[Scores], words: int) -> Any:
        """Return `METRIC` of each of a part's texts that are measured, in points."""
        part, places = self.parts[name], self._places(name)
        summaries = part.summaries(scores, places, words, self.how.no_repeat)
        return rouge_scores(summaries, [part.examples.more["summary"][at] for at in places])[METRIC]

    def _places(self, name: str) -> Index:
        """Return which texts of a part are measured, in an order drawn from the seed."""
        order = np.random.default_rng(self.recipe.seed).permutation(len(self.parts[name].examples))
        return order[: self.how.documents]

"""`masked_lm`: words replaced by what a masked language model of the user's own expects at their place.

Contextual replacement after Kobayashi 2018 (arXiv:1805.06201) and TinyBERT's augmentation (arXiv:1909.10351).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from lighten.data.augment.draws import Draw, Stream, choose
from lighten.data.augment.method import Bounds, Corpus, Edit, Job, Method, Run, Variant, splice
from lighten.data.augment.words import Span, editable, words
from lighten.errors import InputError
from lighten.sources import resolve

_DIGITS = 3  # of a logit: sums differ in the last bits with the machine, and equal texts shall stay equal


class MaskedLm(Method):
    """Mask words and let a language model fill them in; only whole words other than the old one are drawn."""

    name: ClassVar[str] = "masked_lm"

    model: str = Field(description="Source of a transformers folder with a masked-language-model head.")
    top_k: int = Field(default=10, ge=1, le=1000, description="Draw among the so many likeliest words.")
    batch: int = Field(default=32, ge=1, le=4096, description="Texts per call of the model.")

    def sources(self) -> list[str]:
        """Return the model."""
        return [self.model]

    def open(self, bounds: Bounds, corpus: Corpus) -> Run:
        """Load the model and its tokenizer.

        Raises:
            InputError: no such model, no mask token, or a checkpoint without the head.
        """
        model = _Filler(self.model, corpus.base, self.top_k)
        return lambda jobs: self._variants(jobs, bounds, model)

    def _variants(self, jobs: Sequence[Job], bounds: Bounds, model: _Filler) -> list[Variant]:
        draws = [Stream(key).draw for _, key, _ in jobs]
        places = [self._places(job[0], bounds, draw) for job, draw in zip(jobs, draws, strict=True)]
        variants: list[Variant] = [(text, 0) for text, _, _ in jobs]
        # Sorted, so that a batch does not depend on the order of the rows; long texts share one.
        order = sorted((i for i, spans in enumerate(places) if spans), key=lambda i: (len(jobs[i][0]), jobs[i][:2]))
        for start in range(0, len(order), self.batch):
            chosen = order[start : start + self.batch]
            masked = [_mask(jobs[i][0], places[i], model.mask) for i in chosen]
            for i, options in zip(chosen, model(masked), strict=True):
                edits = _fill(jobs[i][0], places[i], options, draws[i])
                variants[i] = splice(jobs[i][0], edits), len(edits)
        return variants

    def _places(self, text: str, bounds: Bounds, draw: Draw) -> list[Span]:
        spans = editable(text, bounds.keep_negations)
        wanted = min(bounds.count(len(words(text)), self.rate), len(spans))
        return [spans[index] for index in sorted(choose(draw, len(spans), wanted))] if wanted > 0 else []


def _mask(text: str, spans: Sequence[Span], token: str) -> str:
    return splice(text, [(*span, token) for span in spans])


def _fill(text: str, spans: Sequence[Span], options: list[list[tuple[str, float]]], draw: Draw) -> list[Edit]:
    """Draw a word for each place; places that the model did not see (its texts end earlier) stay as they are."""
    edits = []
    for (start, end), words_there in zip(spans, options, strict=False):
        old = text[start:end]
        allowed = [(word, weight) for word, weight in words_there if word.lower() != old.lower()]
        target = draw() * sum(weight for _, weight in allowed)
        for word, weight in allowed:
            target -= weight
            if target <= 0:
                edits.append((start, end, word.capitalize() if old.istitle() else word))
                break
    return edits


class _Filler:
    """A masked language model that names the likeliest words for every mask in texts."""

    def __init__(self, source: str, base: Path | None, top_k: int) -> None:
        import torch
        from transformers import AutoModelForMaskedLM, AutoTokenizer

        from lighten.models.auto import positions_of
        from lighten.models.checkpoint import check_model
        from lighten.models.pretrained import pretrained, quiet_config, short

        where = f"masked_lm: {source}"
        found = resolve(source, base=base)
        if len(found.paths) != 1 or not found.paths[0].is_dir():
            raise InputError("a model is one folder with config.json and model.safetensors", where)
        folder = found.paths[0]
        check_model(folder)
        with torch.random.fork_rng(devices=[]):
            self._model, new = pretrained(AutoModelForMaskedLM, folder, quiet_config(folder), 0)
        if new:
            raise InputError(f"the checkpoint has no masked-language-model head: it lacks {new[0]}", where)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # the library raises what it happens to raise
            raise InputError(f"the tokenizer cannot be read: {short(error)}", where) from None
        if self._tokenizer.mask_token is None:
            raise InputError("the tokenizer has no mask token", where)
        self._model.eval()
        self.mask = str(self._tokenizer.mask_token)
        self._longest = min(int(self._tokenizer.model_max_length), positions_of(self._model) or 512)
        self._top_k = top_k
        self._words = _whole_words(self._tokenizer)
        hidden = [index not in self._words for index in range(self._model.config.vocab_size)]
        self._hidden = torch.tensor(hidden)

    def __call__(self, texts: list[str]) -> list[list[list[tuple[str, float]]]]:
        """Return, for each mask of each text from left to right, words and weights, the likeliest first."""
        import torch

        inputs = self._tokenizer(texts, padding=True, truncation=True, max_length=self._longest, return_tensors="pt")
        inputs.pop("token_type_ids", None)
        with torch.inference_mode():
            logits = self._model(**inputs).logits
        places = inputs["input_ids"] == self._tokenizer.mask_token_id
        rows = [index for index, _ in places.nonzero().tolist()]
        best: list[list[list[tuple[str, float]]]] = [[] for _ in texts]
        chosen = (logits[places].float().masked_fill(self._hidden, -torch.inf) * 10**_DIGITS).round() / 10**_DIGITS
        # A stable sort: equal logits come in the order of the vocabulary on every machine.
        values, indices = chosen.sort(dim=-1, descending=True, stable=True)
        shares = values[:, : self._top_k].softmax(-1).tolist()
        for row, share, index in zip(rows, shares, indices[:, : self._top_k].tolist(), strict=True):
            pairs = zip(index, share, strict=True)
            best[row].append([(self._words[i], weight) for i, weight in pairs if weight > 0 and i in self._words])
        return best


def _whole_words(tokenizer: Any) -> dict[int, str]:
    """Return the pieces that are words by themselves: letters only, at the beginning of a word."""
    vocabulary = tokenizer.get_vocab()
    marked = [sign for sign in ("\u0120", "\u2581") if sum(piece.startswith(sign) for piece in vocabulary) > 1]
    special = set(tokenizer.all_special_ids)
    found = {}
    for piece, index in vocabulary.items():
        if index in special or (marked and not piece.startswith(marked[0])):
            continue
        word = piece.removeprefix(marked[0]) if marked else piece
        if len(word) > 1 and word.isalpha():
            found[index] = word
    return found

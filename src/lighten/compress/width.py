"""Structured pruning of the hidden width, attention heads with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from safetensors.numpy import load_file, save_file

from lighten.compress.copy import FROZEN, carry_notes
from lighten.compress.fit import padding_id
from lighten.compress.importance import importance_of
from lighten.compress.intermediate import check_width, shares_kept
from lighten.compress.judge import Judge, some_texts
from lighten.compress.step import Context, ModelStep
from lighten.errors import InputError
from lighten.models.affine import norm_of
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.decoder.layout import check_encoder
from lighten.models.importance import Criterion, Scores
from lighten.models.layout import Array, check_post_norm, number_of
from lighten.models.load import load_classifier, save_classifier
from lighten.models.slicing import keep_heads
from lighten.models.width import config_of_size, project, size_of
from lighten.models.width_fit import fit_norms, wanted_states
from lighten.train.batches import pad

WHERE = "step 'width'"
FITTED = 4096
"""Tokens of the one batch on which norms are fitted."""


class Width(ModelStep):
    """Keep the most important hidden dimensions and, in every layer, the most important attention heads.

    transformers wants ``hidden = heads x size`` of BERT-type models, so that heads alone cannot be dropped: heads of
    unchanged size and the states between the layers become narrower together. Layer
    normalisations are fitted anew on texts where that helps; a ``distil`` step after it recovers what is lost.
    """

    name: ClassVar[str] = "width"
    short: ClassVar[str] = "hidden"

    hidden: int = Field(ge=8, json_schema_extra={"search_shares": [2 / 3, 0.5, 1 / 3]})
    """Hidden width to keep: a multiple of the size of the model's heads."""
    importance: Criterion = "taylor"
    """By which dimensions and heads are chosen: ``magnitude`` of the weights, ``activation`` on texts, or ``taylor``:
    what the task's loss would lose without them, to first order."""
    texts: int = Field(default=256, ge=1)
    """Training texts to look at."""
    multiple_of: int = Field(default=8, ge=1)
    """Widths that are no multiple of it are refused."""

    def check_model(self, config: Mapping[str, Any], where: str) -> None:
        """Refuse language models, and encoders whose layers norm what they read."""
        check_encoder(config, where)
        check_post_norm(config, f"step {self.name!r}", where, "'layers' and 'intermediate' cut one too")

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the narrower checkpoint."""
        config = read_config(source)
        self.check_model(config, WHERE)
        size = size_of(config)
        heads = check_heads(self.hidden, size.hidden, size.heads)
        check_width("hidden", self.hidden, size.hidden, self.multiple_of, WHERE)
        state = read_state(source, leave=(FROZEN,))
        check_embeddings(self.hidden, config, WHERE)
        found = importance_of(source, context, self.importance, self.texts)
        dims = most_important(found.dims, self.hidden)
        basis = np.eye(size.hidden)[:, dims]
        kept = [most_important(scores, heads) for scores in found.heads]
        write_narrower(target, config, state, basis, kept, tokenizer=source)
        carry_notes(source, target, head=True)
        if (source / FROZEN).is_file():
            head = load_file(source / FROZEN)
            (target / FROZEN).unlink(missing_ok=True)
            save_file({**head, "weight": np.ascontiguousarray(head["weight"][dims])}, target / FROZEN)
        facts = {
            "kept": self.hidden,
            "of": size.hidden,
            "heads": heads,
            "of_heads": size.heads,
            "importance": self.importance,
            "importance_kept": shares_kept(found.dims[None], self.hidden)[0],
            "heads_importance_kept": shares_kept(found.heads, heads),
            "heads_kept": kept,
        }
        if self.hidden == size.hidden or norm_of(config) != "layer":
            return facts
        return {**facts, **self._fit(source, target, basis, context)}

    def _fit(self, source: Path, target: Path, basis: Array, context: Context) -> dict[str, Any]:
        """Fit the norms to what the wider model's norms answer, and write that where it does better.

        Returns:
            The scores of the model, without and with fitted norms (less is better), and what the scores measure.
        """
        model = load_classifier(source, context.labels, context.seed)
        student = load_classifier(target, context.labels, context.seed)
        judge = Judge(source, model, context, self.texts)
        scores = {"model": judge.score(model), "cut": judge.score(student, basis)}
        encoded, _ = some_texts(source, context, self.texts, FITTED)
        inputs = pad(encoded, np.arange(len(encoded)), padding_id(model)).inputs
        layers = range(number_of(read_config(source), "num_hidden_layers"))
        missed = fit_norms(student, wanted_states(model, inputs, basis, list(layers)), inputs)
        scores["fitted"] = judge.score(student, basis)
        better = scores["fitted"] < scores["cut"]
        if better:
            save_classifier(student, target, source)
        return {"measure": judge.measure, "scores": scores, "fitted": better, "missed": round(missed, 5)}


def check_heads(hidden: int, present: int, heads: int) -> int:
    """Return how many heads of unchanged size a hidden width holds.

    Raises:
        InputError: not a whole number, or more than there are.
    """
    size = present // heads
    if hidden > present:
        raise InputError(f"hidden must be at most {present} but got {hidden}", WHERE)
    if hidden % size:
        low = hidden // size * size
        near = f"{low} and {low + size} are" if low else f"{size} is"
        raise InputError(f"hidden must be a multiple of {size}, the size of a head, but got {hidden}; {near}", WHERE)
    return hidden // size


def check_embeddings(hidden: int, config: Mapping[str, Any], where: str) -> None:
    """Refuse the width of ELECTRA's embeddings: transformers would leave out the projection.

    Raises:
        InputError: see above.
    """
    if hidden == config.get("embedding_size") != number_of(config, "hidden_size"):
        raise InputError(
            f"hidden is {hidden}, the width of the embeddings: transformers would leave out the projection between "
            "them; take another",
            where,
        )


def most_important(scores: Scores, count: int) -> list[int]:
    """Return the indices of the `count` largest scores, ascending; of equal ones the first."""
    return sorted(int(i) for i in np.argsort(-scores, kind="stable")[:count])


def write_narrower(
    target: Path,
    config: Mapping[str, Any],
    state: Mapping[str, Array],
    basis: Array,
    heads: list[list[int]],
    tokenizer: Path,
) -> None:
    """Write the checkpoint with some heads of every layer and the hidden states in a basis [hidden, new hidden]."""
    size = replace(size_of(config), hidden=basis.shape[1], heads=len(heads[0]))
    fewer = keep_heads(config, state, heads)
    write_checkpoint(target, config_of_size(config, size), project(*fewer, basis), tokenizer=tokenizer)

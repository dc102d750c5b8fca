"""Makes narrower students of a teacher, fits them to texts, and keeps the one that does best before training."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from lighten.compress.copy import FROZEN, carry_notes
from lighten.compress.fit import padding_id
from lighten.compress.judge import Judge, some_texts
from lighten.compress.step import Context
from lighten.models.affine import norm_of
from lighten.models.basis import axes, principal, table_moments
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.heads import Method
from lighten.models.layout import Array
from lighten.models.load import load_classifier, save_classifier
from lighten.models.slicing import LayerMap, keep_layers, layer_map
from lighten.models.width import Size, reshape, size_of
from lighten.models.width_fit import fit_norms, state_moments, wanted_states
from lighten.train.batches import pad

FITTED = 4096
"""Tokens of the one batch on which directions are found and norms fitted."""


@dataclass
class _Candidate:
    """A student, where its channels come from, and how it does."""

    name: str
    model: Any
    basis: Array
    score: float | None
    missed: float | None = None


class Narrower:
    """What all candidates for one student have in common.

    Args:
        source: checkpoint of the teacher.
        size: of the student, at most the teacher's.
        kind: which layers it keeps.
        texts: training texts to look at; 0 for none.
        context: texts, labels, seed.
    """

    def __init__(self, source: Path, size: Size, kind: LayerMap, texts: int, context: Context) -> None:
        self.source, self.size, self.context = source, size, context
        self.config, self.state = read_config(source), read_state(source, leave=(FROZEN,))
        self.present = size_of(self.config)
        self.kept = layer_map(self.present.layers, size.layers, kind)
        self.teacher = load_classifier(source, context.labels, context.seed)
        self.judge = Judge(source, self.teacher, context, texts) if texts else None
        self.inputs: Any = None
        if texts:
            encoded, _ = some_texts(source, context, texts, FITTED)
            self.inputs = pad(encoded, np.arange(len(encoded)), padding_id(self.teacher)).inputs

    def write(self, methods: Sequence[Method], target: Path) -> dict[str, Any]:
        """Write the best student of these methods, with norms as they come or fitted to the texts.

        Returns:
            The method, and with texts the score of every candidate (less is better) and of the teacher.
        """
        candidates = [candidate for method in methods for candidate in self._candidates(method)]
        best = min(candidates, key=lambda candidate: candidate.score or 0.0)
        save_classifier(best.model, target, self.source)
        carry_notes(self.source, target, head=False)
        self._carry_head(target, best.basis)
        facts: dict[str, Any] = {"init": best.name}
        if self.judge is not None:
            facts |= {
                "measure": self.judge.measure,
                "texts": self.judge.texts,
                "teacher": self.judge.score(self.teacher),
                "scores": {candidate.name: candidate.score for candidate in candidates},
                "missed": {c.name: round(c.missed, 5) for c in candidates if c.missed is not None},
            }
        return facts

    def _candidates(self, method: Method) -> list[_Candidate]:
        basis = self._basis(method)
        model = self._load(method, basis)
        found = [_Candidate(method, model, basis, self._score(model, basis))]
        # Affine norms follow channel by channel; and where depth alone changes the layers stay what they were.
        width = (self.size.hidden, self.size.heads, self.size.ffn)
        narrower = width != (self.present.hidden, self.present.heads, self.present.ffn)
        if self.inputs is not None and norm_of(self.config) == "layer" and narrower:
            fitted = copy.deepcopy(model)
            missed = fit_norms(fitted, wanted_states(self.teacher, self.inputs, basis, self.kept), self.inputs)
            found.append(_Candidate(f"{method}, fitted", fitted, basis, self._score(fitted, basis), missed))
        return found

    def _basis(self, method: Method) -> Array:
        if self.size.hidden == self.present.hidden:
            return np.eye(self.present.hidden)
        if method == "slice":
            return axes(*keep_layers(self.config, self.state, self.kept), self.size.hidden)
        if self.inputs is None:
            return principal(table_moments(self.config, self.state), self.size.hidden)
        return principal(state_moments(self.teacher, self.inputs), self.size.hidden)

    def _load(self, method: Method, basis: Array) -> Any:
        student = reshape(self.config, self.state, self.size, self.kept, basis, method, self.context.seed)
        with tempfile.TemporaryDirectory() as folder:
            write_checkpoint(Path(folder), *student, tokenizer=self.source)
            return load_classifier(Path(folder), self.context.labels, self.context.seed)

    def _score(self, model: Any, basis: Array) -> float | None:
        self.context.tick()
        return None if self.judge is None else self.judge.score(model, basis)

    def _carry_head(self, target: Path, basis: Array) -> None:
        """A frozen encoder's own head reads the mean of the states: it follows them into the basis."""
        if (self.source / FROZEN).is_file():
            head = load_file(self.source / FROZEN)
            weight = np.ascontiguousarray(basis.T @ head["weight"], np.float32)
            save_file({"weight": weight, "bias": head["bias"]}, target / FROZEN)

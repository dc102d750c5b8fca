"""Distillation of what lies inside: relations, hidden states of several layers or other widths, attention maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import torch

from lighten.train.batches import Batch
from lighten.train.objectives.capture import Features, FeatureSource, capturing
from lighten.train.objectives.distillation import Distillation
from lighten.train.objectives.matching import Pairs, attention_loss, attention_maps, states_loss
from lighten.train.objectives.objective import Outputs
from lighten.train.objectives.relations import relation_loss


class Term(Protocol):
    """One thing that is compared.

    Attributes:
        pairs: layers of student and teacher.
        inside: ``states`` or ``qkv``, which of the `Features` it looks at.
        weight: in the sum.
        module: what is trained with the student for it, or None.
    """

    pairs: Pairs
    inside: Literal["states", "qkv"]
    weight: float
    module: torch.nn.Module | None

    def __call__(self, student: Features, teacher: Features, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss per row, the mean over the pairs."""
        ...


class StatesTerm:
    """Mean squared difference of hidden states, through a learned projection where the widths differ.

    Args:
        pairs: layers of student and teacher.
        weight: in the sum.
        widths: of student and teacher.
        seed: of the projections, one per pair.
    """

    inside: Literal["states", "qkv"] = "states"

    def __init__(self, pairs: Pairs, weight: float, widths: tuple[int, int], seed: int = 0) -> None:
        self.pairs, self.weight = pairs, weight
        self.module: torch.nn.Module | None = None
        self.projections: list[torch.nn.Linear] = []
        student, teacher = widths
        if student != teacher:
            generator = torch.Generator().manual_seed(seed)
            for _ in pairs:
                projection = torch.nn.Linear(student, teacher)
                with torch.no_grad():
                    projection.weight.normal_(std=student**-0.5, generator=generator)
                    projection.bias.zero_()
                self.projections.append(projection)
            self.module = torch.nn.ModuleList(self.projections)

    def __call__(self, student: Features, teacher: Features, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss per row."""
        losses = []
        for number, (own, other) in enumerate(self.pairs):
            states = student.states[own]
            if self.projections:
                states = self.projections[number](states)
            losses.append(states_loss(states, teacher.states[other], mask))
        return torch.stack(losses).mean(0)


class RelationsTerm:
    """Relations among queries, among keys and among values: the sum of the three (MiniLMv2, Wang et al. 2021).

    Args:
        pairs: layers of student and teacher.
        weight: in the sum.
        heads: relation heads.
    """

    inside: Literal["states", "qkv"] = "qkv"
    module: torch.nn.Module | None = None

    def __init__(self, pairs: Pairs, weight: float, heads: int) -> None:
        self.pairs, self.weight, self.heads = pairs, weight, heads

    def __call__(self, student: Features, teacher: Features, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss per row."""
        losses = [
            sum(
                relation_loss(mine, wanted, mask, self.heads)
                for mine, wanted in zip(student.qkv[own], teacher.qkv[other], strict=True)
            )
            for own, other in self.pairs
        ]
        return torch.stack([loss for loss in losses if isinstance(loss, torch.Tensor)]).mean(0)


class AttentionTerm:
    """Difference of attention maps.

    Args:
        pairs: layers of student and teacher.
        weight: in the sum.
        heads: of student and teacher; where they differ the means over the heads are compared.
        kind: of the difference.
    """

    inside: Literal["states", "qkv"] = "qkv"
    module: torch.nn.Module | None = None

    def __init__(self, pairs: Pairs, weight: float, heads: tuple[int, int], kind: Literal["kl", "mse"] = "kl") -> None:
        self.pairs, self.weight, self.heads, self.kind = pairs, weight, heads, kind

    def __call__(self, student: Features, teacher: Features, mask: torch.Tensor) -> torch.Tensor:
        """Return the loss per row."""
        losses = []
        for own, other in self.pairs:
            mine = attention_maps(*student.qkv[own][:2], mask, self.heads[0])
            wanted = attention_maps(*teacher.qkv[other][:2], mask, self.heads[1])
            losses.append(attention_loss(mine, wanted, mask, self.kind))
        return torch.stack(losses).mean(0)


class InnerDistillation:
    """The teacher's answers and what lies inside it, weighted.

    Args:
        answers: soft labels, last states and hard labels.
        teacher: where the teacher's features come from.
        terms: what else is compared.
        inner_first: share of the training, from its start, in which the terms alone are learned (TinyBERT's two
            stages in one).

    Attributes:
        module: projections that are trained with the student and thrown away, or None; whoever trains registers them
            with the model.
    """

    def __init__(
        self, answers: Distillation, teacher: FeatureSource, terms: Sequence[Term], inner_first: float = 0.0
    ) -> None:
        self.answers, self.teacher, self.terms, self.inner_first = answers, teacher, list(terms), inner_first
        modules = [term.module for term in self.terms if term.module is not None]
        self.module: torch.nn.Module | None = torch.nn.ModuleList(modules) if modules else None
        self._answering = inner_first <= 0
        self._state_layers = sorted({own for term in self.terms if term.inside == "states" for own, _ in term.pairs})
        self._qkv_layers = sorted({own for term in self.terms if term.inside == "qkv" for own, _ in term.pairs})

    def at(self, share: float) -> None:
        """Take what belongs to a share of the training, 0 to 1: the temperature, and whether answers count yet."""
        self.answers.at(share)
        self._answering = share >= self.inner_first

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        """Return the sum over the rows."""
        states = bool(self._state_layers) or self.answers.needs_states
        with capturing(model, self._qkv_layers) as qkv:
            result = model(**batch.inputs, output_hidden_states=True) if states else model(**batch.inputs)
        own = Features({layer: result.hidden_states[layer] for layer in self._state_layers}, qkv)
        teacher = self.teacher.features(batch)
        mask = batch.mask
        total = torch.zeros(len(mask), device=mask.device)
        for term in self.terms:
            total = total + term.weight * term(own, teacher, mask)
        if self._answering:
            last = result.hidden_states[-1] if states else None
            total = total + self.answers(Outputs(result.logits, last, mask), batch.index)
        return total.sum()

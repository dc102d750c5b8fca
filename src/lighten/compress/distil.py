"""Distillation: a student learns from its teacher's cached answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from lighten.compress.answers import TeacherAnswers
from lighten.compress.features import side_of
from lighten.compress.fit import fit, peak_rate
from lighten.compress.inner import feature_source, inner_terms, plan_inner, teacher_side
from lighten.compress.labels import all_texts, copies_factor, hard_labels, supervised, times_the_tokens
from lighten.compress.step import Context, ModelStep
from lighten.compress.teacher import answers_of
from lighten.errors import InputError
from lighten.models.checkpoint import read_config
from lighten.models.decoder.layout import check_encoder
from lighten.models.layout import check_post_norm
from lighten.models.tokens import Ids
from lighten.train.loop import Settings
from lighten.train.objectives import Distillation, InnerDistillation, Objective


class Distil(ModelStep):
    """Train on the teacher's soft labels, and on its last hidden states or its relations.

    Where student and teacher cut the texts into the same tokens, the last hidden states are matched where the widths
    are equal, and the relations among queries, keys and values where they are not (MiniLMv2); with a vocabulary
    smaller than the one in use only the soft labels are used. Unlabelled texts are learned from the teacher alone, and
    so are perturbed copies of the training texts.
    """

    name: ClassVar[str] = "distil"
    short: ClassVar[str] = "epochs"
    trains: ClassVar[bool] = True
    taught: ClassVar[bool] = True

    epochs: float = Field(default=6.0, gt=0)
    """Passes over the data; an upper limit under a clock. With `copies` one pass over all takes the place of several,
    so that as many tokens are seen."""
    copies: int = Field(default=0, ge=0)
    """Perturbed copies of each training text that the teacher answers besides."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak; chosen by the width when left out: three times the rate of fine-tuning (6e-4 at 384)."""
    temperature: float = Field(default=2.0, gt=0, json_schema_extra={"search": [1.0, 2.0, 4.0]})
    """Softens both distributions."""
    final_temperature: float | None = Field(default=None, gt=0)
    """Where the temperature ends, in a straight line over the training; left out, it stays."""
    label_weight: float = Field(default=0.5, ge=0, json_schema_extra={"search": [0.0, 0.5, 1.0]})
    """Weight of the hard labels beside the soft ones."""
    states_weight: float = Field(default=10.0, ge=0, json_schema_extra={"search": [1.0, 10.0]})
    """Weight of the hidden states."""
    layers: Literal["last", "uniform"] | dict[int, int] = "last"
    """Which layers' states and attention maps are matched: ``last``, ``uniform``, or student layer to teacher layer
    (from 1; 0: embeddings)."""
    projection: bool = False
    """Match states of other widths through a learned projection, which is thrown away afterwards."""
    relations: Literal["auto"] | bool = "auto"
    """Match relations among queries, keys and values; ``auto`` where the widths differ."""
    relations_weight: float = Field(default=1.0, gt=0)
    """Weight of the relations."""
    relation_heads: int | None = Field(default=None, ge=1)
    """Relation heads; chosen by the widths when left out: 48 for 768 and 384."""
    relation_layer: int | None = Field(default=None, ge=1)
    """The teacher's layer; when left out the last one, of more than 12 one at seven eighths of the depth."""
    attention_weight: float = Field(default=0.0, ge=0)
    """Weight of the attention maps."""
    attention_loss: Literal["kl", "mse"] = "kl"
    """How attention maps are compared."""
    inner_first: float = Field(default=0.0, ge=0, lt=1)
    """Share of the training, from its start, that learns relations, maps and states of other layers alone."""
    online: Literal["auto"] | bool = "auto"
    """Run the teacher beside the student for what lies inside it; ``auto`` where that is not cached."""
    control: bool = False
    """Learn from the hard labels alone: the training without a teacher, to compare with. Its epochs are stretched by
    what the unlabelled texts add to one of the student's, so that both see as many tokens."""
    tokens_per_batch: int = Field(default=2048, ge=16)
    """Padded tokens per batch."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    def check_model(self, config: Mapping[str, Any], where: str) -> None:
        """Refuse what looks at queries, keys and values where one module makes all three."""
        if self.relations is True or self.attention_weight:
            what = "relations: true" if self.relations is True else "attention_weight"
            check_post_norm(config, f"{what} of {self.name!r}", where, "its logits and states can be learned from")

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the distilled checkpoint; returns the training's report."""
        check_encoder(read_config(source), f"step {self.name!r}", "'distil-language'")
        self.check_model(read_config(source), f"step {self.name!r}")
        student = side_of(read_config(source))
        if self.copies > context.copies:
            context = replace(context, copies=self.copies)
        encoded = context.encode(source, all_texts(context))
        if self.control:  # as many tokens as the distillation sees, of the labelled texts alone
            texts = encoded[: len(encoded) - len(context.perturbed)]
            longer = times_the_tokens(texts, len(context.train))
        else:
            longer = 1 / copies_factor(encoded, context)
        settings = Settings(
            epochs=self.epochs * longer,
            seconds=context.seconds,
            learning_rate=peak_rate(self.learning_rate, 6e-4, student.width),
            precision=context.precision_for(self.precision),
            # A stop before the learning rate has decayed loses more than the epochs it saves, and soft labels
            # hardly overfit.
            patience=10**9,
            seed=context.seed,
        )
        objective: Objective
        owner = None
        if self.control:
            encoded = encoded[: len(context.train)]
            objective, owner = supervised(context)
            more: dict[str, Any] = {"control": True, "epochs_factor": round(longer, 4)}
        else:
            teacher = answers_of(context, lambda teacher: plan_inner(self, student, teacher).wanted)
            objective, more = self._objective(source, context, teacher, encoded)
        report = fit(
            source,
            target,
            context,
            encoded,
            objective,
            settings,
            tokens_per_batch=self.tokens_per_batch,
            dropout=0.0,
            owner=owner,
        )
        if not self.control:
            report["epochs"] /= longer
        return {**report, **more}

    def _objective(
        self, source: Path, context: Context, teacher: TeacherAnswers, encoded: list[Ids]
    ) -> tuple[Objective, dict[str, Any]]:
        """Return what to minimise, and which of the teacher's knowledge is in it."""
        starts = np.concatenate([[0], np.cumsum([len(ids) for ids in encoded])])
        aligned = np.array_equal(starts, teacher.starts.numpy())
        student, other = side_of(read_config(source)), teacher_side(teacher)
        plan = plan_inner(self, student, other)
        if plan.demanded and not aligned:
            raise InputError(
                f"{plan.demanded} can only be matched token by token, but the student cuts the texts into other "
                "tokens than its teacher; distil before the vocabulary is cut, or leave it out",
                "step 'distil'",
            )
        same = plan.last_states and aligned and teacher.states is not None
        labels = hard_labels(context)
        answers = Distillation(
            teacher.logits,
            labels,
            self.temperature,
            self.label_weight,
            teacher.states if same else None,
            teacher.starts if same else None,
            self.states_weight,
            final_temperature=self.final_temperature,
            multi_label=labels.dim() == 2,
        )
        more: dict[str, Any] = {"states": answers.needs_states}
        inside = feature_source(self, plan, teacher, context) if aligned and plan.any else None
        if inside is not None:
            terms = inner_terms(self, plan, student, other, context.seed)
            more["states"] = answers.needs_states or bool(plan.states)
            more |= {"relations": bool(plan.relations), "attention": bool(plan.attention), "online": inside.online}
        if context.unlabelled is not None:
            more["unlabelled"] = len(context.unlabelled)
        if context.copies:
            more["copies"] = context.copies
        if inside is None:
            return answers, more
        return InnerDistillation(answers, inside.source, terms, self.inner_first), more


def control(step: Distil) -> Distil:
    """Return the same training of the same student without a teacher, to compare a distillation with.

    Learning rate, tokens per batch and seed are the same; the loss is the cross-entropy of the hard labels alone, so
    unlabelled texts are left out. Where there are some, an epoch of the student's is longer than one of the labelled
    texts: the control makes as many more of them, and sees as many tokens (``epochs_factor`` in its report).
    """
    return step.model_copy(update={"control": True})


def copies_of(steps: Sequence[ModelStep]) -> int:
    """Return how many perturbed copies of each text the teacher of a plan answers: the most that a step has."""
    return max((step.copies for step in steps if isinstance(step, Distil)), default=0)

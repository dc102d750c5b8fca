"""Distillation of language models: the teacher's probabilities of every next (or masked) token."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch.utils.checkpoint import checkpoint

from lighten.errors import InputError
from lighten.train.batches import Batch
from lighten.train.objectives.causal import next_tokens
from lighten.train.objectives.head_input import HeadInput, head_input
from lighten.train.objectives.linear_divergence import LogitsDivergence, Mixture, Soft, Targets, linear_divergence
from lighten.train.objectives.token_loss import IGNORED, LOGITS, forwarding


class TokenTeacher(Protocol):
    """What a teacher says of tokens: a model that runs beside (`OnlineTeacher`), or a cache of its likeliest ones."""

    def targets(self, batch: Batch, positions: torch.Tensor, temperature: float) -> Targets:
        """Return what it says of the predicted positions of a batch, some at a time.

        Args:
            batch: the examples.
            positions: indices into the flattened rows and tokens [n], ascending.
            temperature: of the loss.
        """
        ...


class OnlineTeacher:
    """A frozen language model that runs on the student's batches.

    Args:
        model: the teacher; put into evaluation mode.
        pieces: the teacher's token for each of the student's [student vocabulary], where the student's vocabulary was
            cut; the teacher's probabilities of the others are then left out.
    """

    def __init__(self, model: Any, pieces: torch.Tensor | None = None) -> None:
        self.model, self.pieces = model.eval().requires_grad_(False), pieces

    def targets(self, batch: Batch, positions: torch.Tensor, temperature: float) -> Targets:
        """Run the body now, and the head on some positions at a time."""
        inputs = dict(batch.inputs)
        pieces = None if self.pieces is None else self.pieces.to(batch.ids.device)
        if pieces is not None:
            inputs["input_ids"] = pieces[inputs["input_ids"]]
        with torch.no_grad():
            front = head_input(self.model, lambda: self.model(**inputs, use_cache=False), positions)

        def some(start: int, end: int) -> Soft:
            with torch.no_grad():
                logits = front.head(front.states[start:end])
            return Soft(logits=logits if pieces is None else logits[:, pieces])

        return some


class LanguageDistillation:
    """Sum over the predicted tokens of ``T^2 KL(teacher || student) + label_weight * cross-entropy``.

    ``targets["labels"]`` says what each position predicts (-100 where nothing); without it every token of a row but
    the first is predicted. The logits of few tokens exist at a time, of student and teacher.

    Args:
        teacher: a model of transformers with the same vocabulary (it is frozen), or a `TokenTeacher`.
        temperature: softens both distributions.
        label_weight: of the tokens themselves.
        chunk: predicted tokens whose logits exist at once; None follows what memory is cheap.
    """

    def __init__(
        self, teacher: Any, temperature: float = 1.0, label_weight: float = 0.0, chunk: int | None = None
    ) -> None:
        if temperature <= 0 or label_weight < 0:
            raise InputError(f"temperature {temperature} must be above 0, label_weight {label_weight} not below")
        self.teacher: TokenTeacher = teacher if hasattr(teacher, "targets") else OnlineTeacher(teacher)
        self.mixture, self.chunk = Mixture(temperature, label_weight), chunk

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        """Return the sum over the predicted tokens.

        Raises:
            InputError: student and teacher have other vocabularies.
        """
        labels = batch.targets["labels"] if "labels" in batch.targets else next_tokens(batch)
        inner = model.module if hasattr(model, "module") else model
        positions = (labels.reshape(-1) != IGNORED).nonzero().squeeze(-1)
        wanted = labels.reshape(-1)[positions]
        inputs = {**batch.inputs, "use_cache": False}
        if not len(positions):
            nothing: torch.Tensor = model(**inputs).logits.float().sum() * 0.0
            return nothing
        targets = self.teacher.targets(batch, positions, self.mixture.temperature)
        original = inner.forward

        def run(*args: Any, **given: Any) -> torch.Tensor:
            front = head_input(inner, lambda: original(*args, **given), positions)
            return self._loss(front, targets, wanted, self._chunk(inner, labels.device))

        with forwarding(inner, run):
            result: torch.Tensor = model(**inputs)
        return result

    def _chunk(self, model: Any, device: torch.device) -> int:
        vocabulary = int(getattr(model.config.get_text_config(), "vocab_size", 1))
        # A third of what cross-entropy allows: the teacher's logits and the gradient are as large.
        return self.chunk or max(16, LOGITS.get(device.type, LOGITS["cuda"]) // (3 * max(1, vocabulary)))

    def _loss(self, front: HeadInput, targets: Targets, wanted: torch.Tensor, chunk: int) -> torch.Tensor:
        states, linear = front.states, front.linear
        _check(targets(0, 1), front)
        if linear is not None:
            return linear_divergence(states, linear.weight, linear.bias, targets, wanted, self.mixture, chunk)
        total = states.new_zeros((), dtype=torch.float32)

        def part(some: torch.Tensor, start: int) -> torch.Tensor:
            end = start + len(some)
            result: torch.Tensor = LogitsDivergence.apply(
                front.head(some).float(), targets(start, end), wanted[start:end], self.mixture
            )
            return result

        for start in range(0, len(states), chunk):
            some = states[start : start + chunk]
            if torch.is_grad_enabled() and len(states) > chunk:
                total = total + checkpoint(part, some, start, use_reentrant=False)
            else:
                total = total + part(some, start)
        return total


def _check(soft: Soft, front: HeadInput) -> None:
    """Refuse a teacher of another vocabulary."""
    with torch.no_grad():
        own = front.linear.out_features if front.linear is not None else front.head(front.states[:1]).shape[-1]
    if soft.logits is not None and soft.logits.shape[-1] != own:
        raise InputError(
            f"the student predicts {own} tokens and its teacher {soft.logits.shape[-1]}: distilling logits needs one "
            "vocabulary"
        )
    if soft.ids is not None and int(soft.ids.max()) >= own:
        raise InputError(f"the teacher's token {int(soft.ids.max())} is none of the student's {own}")

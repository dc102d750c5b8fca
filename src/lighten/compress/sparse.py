"""Unstructured and N:M pruning: single weights become zero."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, field_validator, model_validator
from pydantic_core.core_schema import ValidationInfo
from safetensors.torch import load_file

from lighten.compress.copy import FROZEN, SPARSE, carry_notes
from lighten.compress.distil import Distil
from lighten.compress.finetune import Finetune
from lighten.compress.importance import check_head, sample, task_loss
from lighten.compress.sparse_masks import Scope, Target, masks_for
from lighten.compress.sparse_store import pack, sizes_of
from lighten.compress.sparse_training import Method, Pruner, prunable, pruned, weights_of
from lighten.compress.step import Context, ModelStep
from lighten.models.basis import prefix_of
from lighten.models.checkpoint import WEIGHTS, read_config, read_state, write_checkpoint
from lighten.models.importance import weight_taylor
from lighten.models.layout import Array, names_of, number_of
from lighten.models.load import load_classifier
from lighten.pipeline.files import write_json

WHERE = "step 'sparsify'"
PATTERNS = {"1:4": (1, 4), "2:4": (2, 4), "4:8": (4, 8)}
NOTE = (
    "zeros are multiplied like any other number by ONNX Runtime: smaller where they are stored packed, not faster; "
    "only kernels made for zeros, as GPUs have for 2:4, would gain time"
)


class Sparsify(ModelStep):
    """Set a share of the weights of attention and feed-forward layers to zero.

    Embeddings, norms, biases and the head are left alone. With the gradual schedule the share grows while the model
    learns from its teacher, or where there is none from the labels; ``one-shot`` trains nothing. Zeros stay zero in
    trainings after it, so that a ``distil`` step may follow. ONNX Runtime does not run the result faster.
    """

    name: ClassVar[str] = "sparsify"
    short: ClassVar[str] = "sparsity"
    sparsity: float = Field(default=0.5, gt=0, lt=1)
    """Share of the weights that become zero."""
    method: Method = "magnitude"
    """Which go: those of the smallest ``magnitude``, those that shrink while training (``movement``), or those whose
    loss costs least to first order (``taylor``)."""
    scope: Scope = "global"
    """Whether the weights of all matrices are compared with each other, or only those of one matrix (``layer``)."""
    schedule: Literal["gradual", "one-shot"] = "gradual"
    """``gradual`` along a cubic curve while training (Zhu and Gupta 2017), ``one-shot`` at once without training."""
    pattern: Literal["1:4", "2:4", "4:8"] | None = None
    """N of every M neighbouring inputs stay; `sparsity` must be what that amounts to."""
    begin: float = Field(default=0.05, ge=0, lt=1)
    """Share of the training after which weights are taken out."""
    end: float = Field(default=0.7, gt=0, le=1)
    """Share of the training after which no more are: the rest recovers."""
    epochs: float = Field(default=6.0, gt=0)
    """Passes over the data; an upper limit under a clock."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak; chosen as ``distil`` or ``finetune`` would when left out."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    texts: int = Field(default=256, ge=1)
    """Training texts to look at for ``taylor`` at one shot."""
    store: Literal["dense", "packed"] = "dense"
    """``packed`` writes model.sparse.safetensors beside the weights; see `lighten.compress.sparse_store`."""

    @field_validator("pattern")
    @classmethod
    def _share_of_pattern(cls, pattern: str | None, info: ValidationInfo) -> str | None:
        if pattern is not None and "sparsity" in info.data:
            kept, group = PATTERNS[pattern]
            share = 1 - kept / group
            if abs(info.data["sparsity"] - share) > 1e-9:
                raise ValueError(f"pattern {pattern} means sparsity {share:g}, but it is {info.data['sparsity']:g}")
        return pattern

    @model_validator(mode="after")
    def _consistent(self) -> Sparsify:
        if self.schedule == "one-shot" and self.method == "movement":
            raise ValueError("movement is seen only while training: use schedule gradual, or another method")
        if self.begin >= self.end:
            raise ValueError(f"begin must be below end, but they are {self.begin:g} and {self.end:g}")
        return self

    @property
    def trains(self) -> bool:  # type: ignore[override]
        """Whether it trains weights."""
        return self.schedule == "gradual"

    @property
    def taught(self) -> bool:  # type: ignore[override]
        """Whether it learns from the teacher's answers."""
        return self.trains

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the sparse checkpoint; returns the training's report and where the zeros are."""
        wanted = Target(self.sparsity, self.scope, None if self.pattern is None else PATTERNS[self.pattern])
        config, state = read_config(source), read_state(source, leave=(FROZEN,))
        names = prunable(config, prefix_of(config, state))
        wanted.check({name: state[name].shape for name in names}, WHERE)
        if self.schedule == "one-shot":
            report = self._at_once(source, target, context, wanted, state, names)
        else:
            report = self._gradually(source, target, context, wanted)
        write_json(target / SPARSE, {"sparsity": self.sparsity, "pattern": self.pattern})
        if self.store == "packed":
            pack(target)
        return {**report, **facts_of(target), "note": NOTE}

    def _at_once(
        self,
        source: Path,
        target: Path,
        context: Context,
        wanted: Target,
        state: dict[str, Array],
        names: list[str],
    ) -> dict[str, Any]:
        scores = {name: torch.from_numpy(state[name]).abs() for name in names}
        if self.method == "taylor":
            check_head(source, context, WHERE)
            model = load_classifier(source, context.labels, context.seed)
            batches = sample(source, context, model, self.texts)
            found = weight_taylor(model, weights_of(model), batches, task_loss(source, context))
            scores = dict(zip(names, found.values(), strict=True))
        for name, mask in masks_for(scores, wanted).items():
            state[name] = torch.from_numpy(state[name]).masked_fill(~mask, 0.0).numpy()
        write_checkpoint(target, read_config(source), state, tokenizer=source)
        carry_notes(source, target, head=True)
        return {}

    def _gradually(self, source: Path, target: Path, context: Context, wanted: Target) -> dict[str, Any]:
        def around(training: Any) -> Any:
            pruner = Pruner(weights_of(training.model), wanted, self.method)
            return pruned(training, pruner, self.begin, self.end)

        taught = context.teacher is not None or context.teacher_model is not None
        fields = {"epochs": self.epochs, "learning_rate": self.learning_rate, "precision": self.precision}
        step: ModelStep = Distil(**fields) if taught else Finetune(**fields)
        return {"trained": step.name, **step.apply(source, target, replace(context, around=around))}


def facts_of(folder: Path) -> dict[str, Any]:
    """Return where the zeros of a checkpoint are, and what its weights take on disk.

    Returns:
        ``zeros``: share in all matrices that may be sparse; ``zeros_by_layer``; ``bytes_dense`` of all weights and
        ``bytes_packed`` as `sparse_store` would write them, without the files' headers.
    """
    config, state = read_config(folder), load_file(folder / WEIGHTS)
    prefix = names_of(config).prefix if any(name.startswith(names_of(config).prefix) for name in state) else ""
    names = prunable(config, prefix)
    found = [(int((state[name] == 0).sum()), state[name].numel()) for name in names]
    width = len(names) // number_of(config, "num_hidden_layers")
    layers = [found[at : at + width] for at in range(0, len(found), width)]
    sizes = sizes_of(state)
    return {
        "zeros": _share(found),
        "zeros_by_layer": [_share(layer) for layer in layers],
        "bytes_dense": sizes["dense"],
        "bytes_packed": sizes["packed"],
    }


def _share(counts: list[tuple[int, int]]) -> float:
    return round(sum(zeros for zeros, _ in counts) / sum(size for _, size in counts), 6)

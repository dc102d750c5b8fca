"""Quantisation: how the numbers of the exported graph are stored and multiplied."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from lighten.compress.calibration import FEWEST, check_source, find_ranges, halves, judged, sample, several_labels
from lighten.compress.copy import QUANTISE, copy_checkpoint
from lighten.compress.sensitivity import Batches, agreement, allocate, answers, sensitivities
from lighten.compress.step import Context, ModelStep
from lighten.errors import InputError
from lighten.measure.products import safe_bits, saturating, time_products
from lighten.models.checkpoint import read_config
from lighten.models.decoder.formats import FORMATS, note_format
from lighten.models.decoder.layout import is_decoder
from lighten.models.encoder import Encoder
from lighten.models.quantised.emulate import Emulation
from lighten.models.quantised.numbers import quantise_columns
from lighten.models.quantised.precision import FP32, Precision, product_names, products, write_precision
from lighten.models.read import read_encoder
from lighten.models.static import FILE as STATIC

FILE = QUANTISE


def _bits(value: Any) -> Any:
    """``auto`` becomes a number when the step is made, so that its key in the cache says which."""
    return safe_bits() if value == "auto" else value


Bits = Annotated[int, BeforeValidator(_bits)]


class Quantise(ModelStep):
    """Int8 or int4 numbers in the exported graph.

    It is carried out when the graph is drawn; the step finds out what that needs to know and notes it beside the
    checkpoint. Embeddings are stored in int8, one scale per row, in every format.

    - ``int8``: weights with a scale per column; activations are scaled anew in every call.
    - ``int8-static``: activations have constant scales, found on training texts: a pass over them less per product.
    - ``mixed``: int8, but products that cost agreement with fp32 and save little time stay in fp32.
    - ``int8-weights``, ``int4-weights``: weights alone, in blocks. For size; activations stay as they are.

    Language models know ``int8`` and ``int4``: weights in blocks, embeddings and head in 8 bits either way.
    """

    name: ClassVar[str] = "quantise"
    last: ClassVar[bool] = True
    short: ClassVar[str] = "format"
    aliases: ClassVar[dict[str, dict[str, Any]]] = {
        "int8": {"format": "int8"},
        "int8-static": {"format": "int8-static"},
        "int8-weights": {"format": "int8-weights"},
        "int4": {"format": "int4-weights"},
        "mixed": {"format": "mixed"},
    }

    format: Literal["int8", "int8-static", "int8-weights", "int4-weights", "mixed"] = "int8"
    bits: Bits = Field(default=7, ge=7, le=8)
    """Bits of each int8 weight in use. 8 saturates on CPUs with AVX2 but without VNNI; 7 is safe everywhere.
    ``auto``: 8 where the machine that builds computes it exactly; only for models that serve there."""
    calibration: Literal["min-max", "percentile", "entropy"] = "percentile"
    """How constant scales are found."""
    percentile: float = Field(default=99.999, gt=50, le=100)
    """Share of activations, in percent, inside the constant range."""
    texts: int = Field(default=256, ge=FEWEST)
    """Training texts to calibrate on, and validation texts to compare with fp32 on, at most; in both cases up to
    16,384 tokens of them. With ``mixed`` one half of the validation texts chooses, the other half judges."""
    activations: Literal["dynamic", "static"] = "dynamic"
    """With ``mixed``: scales found in every call, or constant ones."""
    agreement: float = Field(default=0.99, gt=0, le=1)
    """With ``mixed``: share of the texts it chooses on that must get fp32's answer."""
    costs: Literal["measured", "operations"] = "measured"
    """With ``mixed``: what int8 saves, measured on this machine, or taken to go with the operations (which gives the
    same choice everywhere)."""
    tokens: int = Field(default=32, ge=1)
    """With ``mixed``: length of text for which time is saved."""
    threads: int = Field(default=2, ge=1)
    """With ``mixed``: threads when it is measured."""
    block: Literal[16, 32, 64, 128, 256] = 32
    """Weights that share a scale, where weights alone are quantised."""
    accuracy: Literal[0, 4] = 4
    """Weights alone: 4 rounds activations to int8 for the product (faster), 0 multiplies in fp32."""

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Copy the checkpoint and note the precision; returns it, and how far the answers agree with fp32's."""
        where = f"step {self.name!r}"
        check_source(source, where)
        if is_decoder(read_config(source)):
            return self._decoder(source, target, where)
        if self.format != "int8" and (source / STATIC).is_file():
            raise InputError(f"a static model knows int8 only, not {self.format!r}", where)
        if self.format == "int8":
            precision, metrics = Precision(int8=True, bits=self.bits), {"format": self.format, "bits": self.bits}
        else:
            precision, metrics = self._tuned(source, context, where)
        copy_checkpoint(source, target)
        write_precision(target, precision, self.format)
        return metrics

    def _decoder(self, source: Path, target: Path, where: str) -> dict[str, Any]:
        """Note the format of a language model's weights; activations are rounded by the products themselves."""
        if self.format not in FORMATS:
            raise InputError(
                f"format {self.format!r} is for encoders; a language model's weights can be int8 or int4", where
            )
        copy_checkpoint(source, target)
        return note_format(target, self.format, self.block)

    def _tuned(self, source: Path, context: Context, where: str) -> tuple[Precision, dict[str, Any]]:
        encoder = read_encoder(source)
        mixed = self.format == "mixed"
        if mixed:  # what was chosen by some texts is judged on others
            chosen_on, held_out = halves(source, context, context.validation, self.texts, where)
        else:
            held_out = sample(source, context, context.validation, self.texts, where)
        metrics: dict[str, Any] = {"format": self.format}
        if self.format in ("int8-weights", "int4-weights"):
            bits = 8 if self.format == "int8-weights" else 4
            precision = Precision(weight_bits=bits, block=self.block, accuracy=self.accuracy)
            metrics |= {"block": self.block, "accuracy": self.accuracy}
        else:
            precision = Precision(int8=True, bits=self.bits)
            metrics["bits"] = self.bits
        if self.format == "int8-static" or (mixed and self.activations == "static"):
            train = sample(source, context, context.train, self.texts, where)
            ranges = find_ranges(encoder, train, self.calibration, self.percentile, context)
            precision = replace(precision, ranges=ranges)
            metrics |= {"calibration": self.calibration, "texts": sum(len(ids) for ids, _ in train)}
        if mixed:
            precision, found = self._mixed(encoder, precision, chosen_on, context)
            metrics |= found
        wanted = answers(Emulation(encoder, FP32), held_out, context.tick)
        if precision.int8 and self.bits == 8:
            weights = {name: dense.weight for name, dense in products(encoder) if name not in precision.floats}
            metrics["saturating_here"] = saturating({n: quantise_columns(w, 8).values for n, w in weights.items()})
        return precision, metrics | (judged(encoder, wanted, precision, held_out, context) if encoder.head else {})

    def _mixed(
        self, encoder: Encoder, precision: Precision, batches: Batches, context: Context
    ) -> tuple[Precision, dict[str, Any]]:
        several, names = several_labels(context), product_names(encoder)
        wanted = answers(Emulation(encoder, FP32), batches, context.tick)
        emulation = Emulation(encoder, precision)
        with context.progress.stage("sensitivity", total=len(names) * len(batches)) as stage:
            done = 0

            def tick() -> None:
                nonlocal done
                done += 1
                stage.update(done)
                context.tick()

            errors = sensitivities(emulation, wanted, batches, names, several, tick)
        savings = self._savings(encoder)

        def agreement_with(floats: set[str]) -> float:
            emulation.floats = floats
            return agreement(wanted, answers(emulation, batches, context.tick), several)[0]

        found = allocate(errors, savings, agreement_with, self.agreement)
        ranges = {name: ends for name, ends in precision.ranges.items() if name not in found.floats}
        listed = {n: {"error": float(f"{errors[n]:.3g}"), "saves": float(f"{savings[n]:.3g}")} for n in names}
        metrics = {
            "floats": list(found.floats),
            "chosen_on": len(wanted),
            "agreements": [round(share, 4) for share in found.agreements],
            "costs": self.costs,
            "products": listed,
        }
        return replace(precision, floats=found.floats, ranges=ranges), metrics

    def _savings(self, encoder: Encoder) -> dict[str, float]:
        """Return what int8 saves by product: milliseconds of one text, or millions of operations."""
        shapes = {name: dense.weight.shape for name, dense in products(encoder)}
        rows = {name: 1 if name.startswith("head") else self.tokens for name in shapes}
        if self.costs == "operations":
            return {name: float(2e-6 * rows[name] * np.prod(shape)) for name, shape in shapes.items()}
        taken = {
            n: time_products([s for m, s in shapes.items() if rows[m] == n], n, self.threads)
            for n in set(rows.values())
        }
        pairs = {name: taken[rows[name]][shape] for name, shape in shapes.items()}
        return {name: fp32 - int8 for name, (fp32, int8) in pairs.items()}

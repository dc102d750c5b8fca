"""Quantisation: how the numbers of the exported graph are stored and multiplied."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from lighten.compress.copy import QUANTISE, copy_checkpoint
from lighten.compress.step import Context, ModelStep
from lighten.errors import InputError
from lighten.pipeline.files import write_json

FILE = QUANTISE


class Quantise(ModelStep):
    """Dynamic int8: weights per column, embeddings per row, activations per call.

    It is carried out when the graph is drawn; the step writes down what is asked for beside the checkpoint.
    """

    name: ClassVar[str] = "quantise"

    format: Literal["int8"] = "int8"
    bits: int = Field(default=7, ge=7, le=8)
    """Bits of each weight in use. 8 saturates on CPUs with AVX2 but without VNNI; 7 is safe everywhere."""

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Copy the checkpoint and note the format."""
        if (source / "linear.safetensors").is_file():
            raise InputError("a linear model has no int8 form; leave this step out", "step 'quantise'")
        copy_checkpoint(source, target)
        write_json(target / FILE, {"format": self.format, "bits": self.bits})
        return {"format": self.format, "bits": self.bits}

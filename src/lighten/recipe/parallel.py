"""The section ``train.parallel``: how several processes train one model together."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lighten.recipe.section import Section


class Parallel(Section):
    """How several processes train one model together."""

    kind: Literal["auto", "none", "ddp", "fsdp", "pipeline", "tensor"] = "auto"
    """Copies (``ddp``), shards (``fsdp``), stages of layers (``pipeline``), split matrices (``tensor``)."""
    processes: int | None = Field(default=None, ge=1, le=1024)
    """Processes on this machine; one when left out. ``--processes`` overrides it."""
    cpu_offload: bool = False
    """Keep sharded parameters in the memory of the CPU between their uses (``fsdp`` only)."""
    schedule: Literal["gpipe", "1f1b"] = "1f1b"
    """Order of the micro-batches in a pipeline."""
    chunks: int = Field(default=4, ge=1, le=1024)
    """Micro-batches per step in a pipeline."""
    max_restarts: int = Field(default=3, ge=0, le=1000)
    """How often workers are started again after one has died."""

    @model_validator(mode="after")
    def _consistent(self) -> Parallel:
        if self.kind == "none" and (self.processes or 1) > 1:
            raise ValueError(f"train.parallel: kind none is one process; got processes: {self.processes}")
        if self.kind in ("pipeline", "tensor") and self.processes == 1:
            raise ValueError(f"train.parallel: {self.kind} needs at least 2 processes; got 1")
        if self.cpu_offload and self.kind not in ("auto", "fsdp"):
            raise ValueError(f"train.parallel.cpu_offload needs the kind fsdp; got {self.kind!r}")
        return self

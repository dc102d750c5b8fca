"""What stands for a compression: equal identities have equal outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lighten.compress.step import ModelStep


@dataclass(frozen=True)
class Identity:
    """What is asked for, and what stands for it.

    Attributes:
        steps: of the recipe, checked.
        model: folder of the given model.
        model_key: fingerprint of its content.
        data: stands for data and seed: another plan in the same folder goes on from the same splits.
        whole: stands for everything that the result depends on.
    """

    steps: list[ModelStep]
    model: Path
    model_key: str
    data: str
    whole: str

"""The given model as the first checkpoint of the workspace; the user may change the folder meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from lighten.compress.copy import FROZEN, GENERATION, NGRAMS, TEMPLATE, copy_checkpoint
from lighten.models.checkpoint import INDEX, TOKENIZER_FILES, weight_files
from lighten.pipeline import Artifact, read_json
from lighten.pipeline.artifact import MANIFEST
from lighten.workshop.work import Work

FILES = ("config.json", *TOKENIZER_FILES, INDEX, FROZEN, NGRAMS, GENERATION, TEMPLATE)
"""What belongs to a checkpoint, its weights aside."""


def take_model(work: Work) -> Artifact:
    """Copy what belongs to the checkpoint; one that was converted lies in the workspace already and is linked."""
    source = work.model

    def copy(target: Path) -> dict[str, Any]:
        if (source / MANIFEST).is_file():
            copy_checkpoint(source, target)
            return dict(Artifact(source, read_json(source / MANIFEST)).metrics)
        for name in dict.fromkeys([*FILES, *(file.name for file in weight_files(source))]):
            if (source / name).is_file():
                shutil.copyfile(source / name, target / name)
        return {}

    return work.workspace.produce("checkpoint", {"name": "given"}, [work.model_key], copy)

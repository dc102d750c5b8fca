"""What exported language models lose on the validation documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lighten.measure.language import TextLosses, folder_losses
from lighten.pipeline import Artifact, digest, read_json, write_json
from lighten.runtime import load_generator
from lighten.workshop.work import Work


def validation_losses(work: Work, model: Artifact) -> TextLosses:
    """Read the validation documents with an exported model, or find what it lost on them."""
    texts, threads = work.validation.texts, work.recipe.target.threads

    def read(target: Path) -> dict[str, Any]:
        with work.progress.stage("validation of the exported model", total=1.0) as stage:

            def report(share: float) -> None:
                stage.update(share)
                work.clock.tick()

            found = folder_losses(load_generator(model.path, threads=threads), texts, progress=report)
        write_json(target / "losses.json", {"sums": found.sums.tolist(), "tokens": found.tokens.tolist()})
        return {}

    step = {"threads": threads, "texts": digest(texts)}
    known = read_json(work.workspace.produce("losses", step, [model], read).path / "losses.json")
    return TextLosses(np.array(known["sums"]), np.array(known["tokens"], np.int64))

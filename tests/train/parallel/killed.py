"""A real training of two processes, one of which is killed: ``python -m tests.train.parallel.killed FOLDER STEP``."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from tests.helpers.training import FAST, Task

from lighten.train.parallel.auto import make


def main(folder: Path, fatal: int) -> None:
    strategy = make("ddp")
    training = Task(folder / "bert").training(
        replace(FAST, checkpoint_seconds=0.0), folder / f"checkpoints-{fatal}", 0.1, strategy=strategy
    )
    if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0" and strategy.rank == 1:

        def tick() -> None:
            if training.state.step == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

        training.tick = tick
    training.run()
    if strategy.rank == 0:
        save_file(
            {name: value.contiguous() for name, value in strategy.full_state(training.model).items()},
            folder / f"end-{fatal}",
        )
    strategy.close()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(sys.argv[2]))

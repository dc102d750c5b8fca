"""Stands for a training that is started several times: ``python -m tests.train.parallel.dummy WHAT FOLDER``."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path


def main(what: str, folder: Path) -> int:
    rank, start = os.environ["RANK"], int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    (folder / f"start-{start}-{rank}").write_text(os.environ["WORLD_SIZE"] + os.environ["LOCAL_WORLD_SIZE"])
    if what.isdigit():
        return int(what)
    if what == "killed" and start == 0:
        if rank == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)  # waits for the other, as a collective does
    if what == "interrupted":
        try:
            (folder / f"ready-{rank}").touch()
            time.sleep(60)
        except KeyboardInterrupt:
            (folder / f"interrupted-{rank}").touch()
            return 130
    if what == "first" and rank == "1":  # the others only notice
        return 2
    if what == "first":
        time.sleep(60)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))

"""Seconds from nothing to the first prediction."""

from __future__ import annotations

import statistics
import subprocess
import time
from pathlib import Path

from lighten.errors import LightenError
from lighten.measure.process import PYTHON, deaf_to_interrupts

TEXT = "a short text to start with"


def cold_start_ms(folder: str | Path, runs: int = 3) -> float:
    """Return the milliseconds from starting ``python -m lighten.runtime FOLDER TEXT`` to its first line.

    Args:
        folder: the model folder.
        runs: how often; the median is returned, so one run with a cold disk does not decide.

    Raises:
        LightenError: the process fails.
    """
    return statistics.median(_once(Path(folder)) for _ in range(runs))


def _once(folder: Path) -> float:
    command = [*PYTHON, "-m", "lighten.runtime", str(folder), TEXT]
    started = time.perf_counter()
    with deaf_to_interrupts():
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    with process:
        line = process.stdout.readline() if process.stdout else b""
        elapsed = time.perf_counter() - started
        _, errors = process.communicate()
    if process.returncode or not line.strip():
        raise LightenError(f"the cold start failed: {errors.decode(errors='replace').strip()[-300:]}")
    return elapsed * 1000

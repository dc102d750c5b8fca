"""Asks a fresh process to measure, so that nothing of this one (torch, its memory, its threads) takes part."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from lighten.errors import InputError, LightenError

# -P: a module in the user's working folder must not stand in for one of ours.
PYTHON = (sys.executable, "-P")


WORKER = "lighten.measure.worker"


def ask(request: dict[str, Any], progress: Callable[[float], None] | None = None, worker: str = WORKER) -> Any:
    """Send a request to a new ``python -m`` worker and return its answer.

    Args:
        request: JSON-ready; ``do`` names the work, see `lighten.measure.worker`.
        progress: called with the share that is done.
        worker: module that answers, by `lighten.measure.worker.main`.

    Raises:
        InputError: the worker refused what it was given.
        LightenError: the worker died; the message ends with its last words.
    """
    with tempfile.TemporaryFile() as errors:
        command = [*PYTHON, "-m", worker]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as process:
            try:
                answer = _converse(process, request, progress)
            except BaseException:
                process.kill()
                raise
        errors.seek(0)
        words = errors.read().decode(errors="replace").strip().splitlines()
    if "error" in answer:
        raise InputError(answer["error"]) if answer["exit_code"] == 2 else LightenError(answer["error"])
    if process.returncode or "answer" not in answer:
        last = " | ".join(line.strip() for line in words[-4:]) or "no message"
        raise LightenError(f"the measuring process ended with {_status(process.returncode)}: {last}")
    return answer["answer"]


def _converse(process: subprocess.Popen[bytes], request: dict[str, Any], progress: Any) -> dict[str, Any]:
    """Send the request and read lines until the one with the answer."""
    answer: dict[str, Any] = {}
    if process.stdin is None or process.stdout is None:
        raise LightenError("the measuring process has no pipes")
    try:
        process.stdin.write(json.dumps(request).encode())
        process.stdin.close()
    except BrokenPipeError:
        pass  # it died at once; its exit status and last words say why
    for line in process.stdout:
        message = json.loads(line)
        if "progress" in message:
            if progress is not None:
                progress(float(message["progress"]))
        else:
            answer = message
    return answer


def _status(code: int) -> str:
    if code >= 0:
        return f"status {code}"
    name = signal.Signals(-code).name
    return f"{name} (out of memory?)" if name == "SIGKILL" else name

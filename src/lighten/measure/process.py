"""Asks a fresh process to measure, so that nothing of this one (torch, its memory, its threads) takes part."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lighten.errors import InputError, LightenError

# -P: a module in the user's working folder must not stand in for one of ours.
PYTHON = (sys.executable, "-P")


WORKER = "lighten.measure.worker"
SILENCE = 1800.0
"""Seconds without a word after which a worker is taken for hanging."""


def ask(
    request: dict[str, Any],
    progress: Callable[[float], None] | None = None,
    worker: str = WORKER,
    silence: float = SILENCE,
) -> Any:
    """Send a request to a new ``python -m`` worker and return its answer.

    Ctrl-C does not reach the worker: whoever asked decides whether the work is broken off.

    Args:
        request: JSON-ready; ``do`` names the work, see `lighten.measure.worker`.
        progress: called with the share that is done.
        worker: module that answers, by `lighten.measure.worker.main`.
        silence: seconds that it may work without a word; it is ended then.

    Raises:
        InputError: the worker refused what it was given.
        LightenError: the worker died; the message ends with its last words.
    """
    with tempfile.TemporaryFile() as errors:
        command = [*PYTHON, "-m", worker]
        with deaf_to_interrupts():
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        with process:
            try:
                answer = _converse(process, request, progress, silence)
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


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Let processes that are started inside never hear of SIGINT: a terminal sends it to the whole group."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a new process inherits the mask
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _watched(process: subprocess.Popen[bytes], silence: float) -> Iterator[Callable[[], None]]:
    """Kill the process when it is silent for too long; yields what to call whenever it said something."""
    done, hung, last = threading.Event(), False, time.monotonic()

    def heard() -> None:
        nonlocal last
        last = time.monotonic()

    def watch() -> None:
        nonlocal hung
        while (left := last + silence - time.monotonic()) > 0:
            if done.wait(left):
                return
        hung = True
        process.kill()

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield heard
    finally:
        done.set()
    if hung:
        raise LightenError(f"the measuring process said nothing for {silence:g} seconds and was ended")


def _converse(
    process: subprocess.Popen[bytes], request: dict[str, Any], progress: Any, silence: float
) -> dict[str, Any]:
    """Send the request and read lines until the one with the answer."""
    with _watched(process, silence) as heard:
        return _read(process, request, progress, heard)


def _read(
    process: subprocess.Popen[bytes], request: dict[str, Any], progress: Any, heard: Callable[[], None]
) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    if process.stdin is None or process.stdout is None:
        raise LightenError("the measuring process has no pipes")
    try:
        process.stdin.write(json.dumps(request).encode())
        process.stdin.close()
    except BrokenPipeError:
        pass  # it died at once; its exit status and last words say why
    for line in process.stdout:
        heard()
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

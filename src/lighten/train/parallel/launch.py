"""Starts the processes of one machine under torch elastic, which starts all of them again when one is killed."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from lighten.errors import InputError
from lighten.progress import Progress
from lighten.train.parallel.group import LAUNCHED

FINAL = (2, 3, 130)
"""Exit codes that trying again would not change: bad input, infeasible, interrupted."""
INTERRUPTED = 130
POLL_SECONDS = 0.1
"""How often the processes are looked at: what passes until a killed one is noticed."""


def launch(
    arguments: Sequence[str],
    processes: int,
    max_restarts: int = 3,
    module: str = "lighten.train",
    progress: Progress | None = None,
) -> int:
    """Run ``python -m lighten.train ARGUMENTS`` in several processes and return their exit code.

    They find each other through the environment (RANK, WORLD_SIZE, ...). When one dies, all are started again and
    go on from the newest checkpoint: what is lost is the work since then and the seconds that Python takes to start.
    What they print goes to this process's stdout and stderr.

    Args:
        arguments: of the module.
        processes: how many.
        max_restarts: how often to start again before giving up; bad input is not tried again.
        module: what to run.
        progress: told when they are started again.

    Raises:
        InputError: fewer than one process.
    """
    if processes < 1:
        raise InputError(f"the number of processes must be at least 1; got {processes}", "--processes")
    from torch.distributed.elastic.agent.server.api import WorkerSpec
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.rendezvous import RendezvousParameters
    from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

    run = f"{LAUNCHED}{uuid.uuid4().hex}"
    meeting = RendezvousParameters(
        "c10d", "localhost:0", run, min_nodes=1, max_nodes=1, local_addr="127.0.0.1", is_host=True, timeout=60
    )
    with tempfile.TemporaryDirectory() as logs, _quiet(), _handlers_kept():
        handler = get_rendezvous_handler(meeting)
        spec = WorkerSpec(
            role="lighten",
            local_world_size=processes,
            entrypoint=sys.executable,
            args=("-m", module, *_escaped(arguments)),
            rdzv_handler=handler,
            max_restarts=max_restarts,
            monitor_interval=POLL_SECONDS,
            local_addr="127.0.0.1",
        )
        agent = _agent(spec, DefaultLogsSpecs(log_dir=logs), progress or Progress())
        try:
            result = agent.run()
        except (SignalException, KeyboardInterrupt) as error:
            number = int(getattr(error, "sigval", signal.SIGINT))
            return INTERRUPTED if number == signal.SIGINT else 128 + number
        finally:
            handler.shutdown()
    return _code([failure.exitcode for failure in result.failures.values()]) if result.is_failed() else 0


def _escaped(arguments: Sequence[str]) -> list[str]:
    """Keep elastic from filling in its own ``${local_rank}``."""
    return [argument.replace("${local_rank}", "$${local_rank}") for argument in arguments]


def _agent(spec: Any, logs: Any, progress: Progress) -> Any:
    from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent

    class Agent(LocalElasticAgent):
        """Gives up at once where starting again would end the same way."""

        def _monitor_workers(self, worker_group: Any) -> Any:
            result = super()._monitor_workers(worker_group)
            if any(failure.exitcode in FINAL for failure in result.failures.values()):
                self._remaining_restarts = 0
            elif result.is_failed() and self._remaining_restarts:
                rank, failure = min(
                    result.failures.items(), key=lambda item: (item[1].exitcode >= 0, item[1].timestamp)
                )
                left = self._remaining_restarts - 1
                progress.note(
                    f"process {rank} ended with {_word(failure.exitcode)}: all are started again ({left} more times "
                    "if need be)"
                )
            return result

    return Agent(spec, logs)


def _word(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _code(codes: Sequence[int]) -> int:
    """Return the exit code that says most: a deliberate one, else that of a failure, else 128 + the signal."""
    for code in FINAL:
        if code in codes:
            return code
    failed = [code for code in codes if code > 0]
    return failed[0] if failed else 128 - codes[0] if codes else 1


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep elastic's own reports from stderr: the processes have said what went wrong."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed.elastic")]
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    warned = os.environ.get("TORCH_CPP_LOG_LEVEL")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # of the processes: advice on our settings is not for users
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if warned is None:
            os.environ.pop("TORCH_CPP_LOG_LEVEL", None)


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Put the signal handlers back that elastic replaces."""
    kinds = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
    before = {kind: signal.getsignal(kind) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            with suppress(ValueError, TypeError):  # not in the main thread: elastic has replaced nothing there
                signal.signal(kind, handler)

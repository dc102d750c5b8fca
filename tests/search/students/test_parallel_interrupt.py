"""Students that train in processes of their own come to their end with the build."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from lighten.progress import Progress
from lighten.search.interrupt import Interrupt
from lighten.search.students import parallel
from lighten.search.students.parallel import train_apart

ENDED: list[str] = []


@pytest.fixture(autouse=True)
def workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that report until they are ended, thirty seconds at most."""
    ENDED.clear()

    def ask(request: dict[str, Any], progress: Callable[[float], None], worker: str) -> None:
        try:
            for step in range(3000):
                time.sleep(0.01)
                progress(step / 3000)
        except BaseException:
            ENDED.append(request["name"])
            raise

    monkeypatch.setattr(parallel, "ask", ask)


def train(heed: Callable[[], None] = lambda: None) -> None:
    train_apart([{"name": "a"}, {"name": "b"}], ["a", "b"], "local", Progress(), heed)


def test_asked_to_stop_exploring_every_worker_is_ended() -> None:
    interrupt, started = Interrupt(), time.monotonic()
    threading.Timer(0.1, interrupt.ask).start()
    with interrupt.exploration():
        train(interrupt.heed)
    assert interrupt.cut_short and sorted(ENDED) == ["a", "b"]
    assert time.monotonic() - started < 20


def test_ctrl_c_in_a_library_does_not_wait_for_the_trainings() -> None:
    main, started = threading.main_thread().ident, time.monotonic()
    assert main is not None
    threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        train()
    assert sorted(ENDED) == ["a", "b"] and time.monotonic() - started < 20

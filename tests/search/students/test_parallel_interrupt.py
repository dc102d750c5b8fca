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


class Ray:
    """What is used of Ray: tasks that never end, or that fail."""

    def __init__(self, fails: bool = False) -> None:
        self.fails, self.cancelled = fails, list[str]()

    def remote(self, work: Callable[[dict[str, Any]], None]) -> Any:
        return type("Remote", (), {"remote": staticmethod(lambda request: request["name"])})

    def wait(self, tasks: list[str], num_returns: int, timeout: float) -> tuple[list[str], list[str]]:
        assert num_returns <= len(tasks)
        time.sleep(0.01)
        return (tasks, []) if self.fails else ([], tasks)

    def get(self, task: str) -> None:
        if task == "a":
            raise ConnectionError("its machine is gone")

    def cancel(self, task: str, force: bool) -> None:
        self.cancelled.append(task)


def test_asked_to_stop_exploring_the_tasks_of_ray_are_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    ray, interrupt = Ray(), Interrupt()
    monkeypatch.setattr(parallel, "ray_started", lambda: ray)
    threading.Timer(0.1, interrupt.ask).start()
    with interrupt.exploration():
        train_apart([{"name": "a"}, {"name": "b"}], ["a", "b"], "ray", Progress(), interrupt.heed)
    assert interrupt.cut_short and ray.cancelled == ["a", "b"]


def test_a_task_of_ray_that_dies_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []

    class Noting(Progress):
        def note(self, text: str) -> None:
            notes.append(text)

    monkeypatch.setattr(parallel, "ray_started", lambda: Ray(fails=True))
    train_apart([{"name": "a"}, {"name": "b"}], ["a", "b"], "ray", Noting())
    assert notes == ["the worker that trained a ended: its machine is gone"]


@pytest.mark.parametrize("error", [OSError("no process"), ValueError("no answer")])
def test_a_worker_that_cannot_be_spoken_with_is_noted(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    notes: list[str] = []

    class Noting(Progress):
        def note(self, text: str) -> None:
            notes.append(text)

    def ask(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(parallel, "ask", ask)
    train_apart([{"name": "a"}], ["a"], "local", Noting())
    assert notes == [f"the worker that trained a ended: {error}"]


def test_the_caller_is_heard_while_workers_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(parallel, "POLL", 0.01)
    monkeypatch.setattr(parallel, "ask", lambda *_, **__: time.sleep(0.2))
    train(lambda: heard.append(threading.current_thread().name))
    assert len(heard) > 2 and set(heard) == {threading.main_thread().name}

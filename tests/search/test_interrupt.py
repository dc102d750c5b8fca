"""Ctrl-C by stages: before anything is measured, while exploring, during the proof."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest

from lighten.progress import Progress
from lighten.search.interrupt import ALREADY, SOON, Interrupt, StopExploring


class Notes(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def press() -> None:
    """Send this process what Ctrl-C sends; Python handles it before the next statement."""
    os.kill(os.getpid(), signal.SIGINT)


def test_before_anything_was_measured_it_ends_at_once() -> None:
    interrupt = Interrupt()
    with pytest.raises(KeyboardInterrupt), interrupt.installed():
        press()
    assert not interrupt.asked


def test_the_first_ends_exploring_where_the_work_next_looks() -> None:
    notes, done = Notes(), []
    interrupt = Interrupt(notes)
    with interrupt.installed():
        with interrupt.exploration():
            press()
            done.append("the step in flight")
            interrupt.heed()
            done.append("the next step")
        done.append("proof")
    assert done == ["the step in flight", "proof"]
    assert interrupt.cut_short and notes.notes == [SOON]


def test_the_second_ends_at_once() -> None:
    interrupt = Interrupt()
    with interrupt.installed(), pytest.raises(KeyboardInterrupt), interrupt.exploration():
        press()
        press()
    assert not interrupt.cut_short


def test_during_the_proof_the_first_is_answered_and_the_second_ends() -> None:
    notes = Notes()
    interrupt = Interrupt(notes)
    with interrupt.installed():
        with interrupt.exploration():
            pass
        press()
        interrupt.heed()
        assert notes.notes == [ALREADY] and not interrupt.cut_short
        with pytest.raises(KeyboardInterrupt):
            press()


def test_asked_before_exploring_nothing_is_explored() -> None:
    interrupt, explored = Interrupt(), []
    interrupt.ask()
    interrupt.heed()  # the reference is not exploring: it is needed
    with interrupt.exploration():
        interrupt.heed()
        explored.append(1)
    assert explored == [] and interrupt.cut_short


def test_no_handler_of_failures_takes_it_for_one() -> None:
    assert not issubclass(StopExploring, Exception)


@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.default_int_handler])
def test_the_old_handler_is_back_afterwards(before: Callable[..., object]) -> None:
    real = signal.signal(signal.SIGINT, before)
    try:
        with Interrupt().installed():
            inside = signal.getsignal(signal.SIGINT)
            assert (inside is signal.SIG_IGN) == (before is signal.SIG_IGN)  # `nohup`, `&`: it stays ignored
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGINT, real)


def test_outside_of_the_main_thread_nothing_is_installed() -> None:
    handlers = []

    def work() -> None:
        with Interrupt().installed():
            handlers.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [before]


def test_a_note_that_cannot_be_written_is_said_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    class Torn(Progress):
        def note(self, text: str) -> None:
            raise RuntimeError("reentrant call inside a buffered writer")

    interrupt = Interrupt(Torn())
    with interrupt.installed(), interrupt.exploration():
        press()
    assert SOON in capfd.readouterr().err

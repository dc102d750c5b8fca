"""Builds the next batches in a background thread while the model computes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")


class Prefetch(Generic[K, T]):
    """Makes values ahead of time, in the order of their keys.

    The caller asks for a key and gets exactly ``make(key)``, whether it was made ahead or not: asking for another
    key than the expected one (after a resume, with smaller micro-batches) drops what was made ahead. What `make`
    raises is raised by `get`. `make` must not draw from global random numbers: a thread's draws have no order.

    Args:
        make: makes the value of a key; called in one background thread at a time, or by the caller.
        following: the key after a key, None after the last one.
        depth: values kept ready at most; 0 makes each when asked.
    """

    def __init__(self, make: Callable[[K], T], following: Callable[[K], K | None], depth: int = 2) -> None:
        self.make, self.following, self.depth = make, following, depth
        self._changed = threading.Condition()
        self._ready: deque[tuple[K, T | None, BaseException | None]] = deque()
        self._next: K | None = None
        self._making: K | None = None
        self._round = 0
        self._working = self._closed = False
        self._thread: threading.Thread | None = None

    def get(self, key: K) -> T:
        """Return the value of a key, and let the ones after it be made.

        Raises:
            RuntimeError: it is closed.
            BaseException: whatever `make` raised for this key.
        """
        if self._closed:
            raise RuntimeError("a prefetch that is closed makes nothing any more")
        if self.depth < 1:
            return self.make(key)
        with self._changed:
            coming = self._ready[0][0] if self._ready else self._making if self._making is not None else self._next
            if coming != key:
                self._restart(key)
            self._start()
            self._changed.wait_for(lambda: self._ready)
            _, value, error = self._ready.popleft()
            if error is not None:
                self._restart(None)
                raise error
            self._changed.notify_all()
        return value  # type: ignore[return-value]

    def flush(self) -> None:
        """Drop what was made ahead; wait until nothing is being made."""
        with self._changed:
            self._restart(None)
            self._changed.wait_for(lambda: not self._working)

    def close(self) -> None:
        """Drop everything and end the thread."""
        with self._changed:
            self._closed = True
            self._restart(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Prefetch[K, T]:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _restart(self, key: K | None) -> None:
        """Drop what is ready, and what is being made when it is done; go on with a key."""
        self._round += 1
        self._ready.clear()
        self._making, self._next = None, key
        self._changed.notify_all()

    def _start(self) -> None:
        if self._thread is None:
            # A daemon: an error elsewhere must not leave the program hanging.
            self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closed or (self._next is not None and len(self._ready) < self.depth)
                )
                if self._closed:
                    return
                key, this_round, self._working = self._next, self._round, True
                assert key is not None
                self._making, self._next = key, None
            value: T | None = None
            after: K | None = None
            failure: BaseException | None = None
            try:
                value = self.make(key)
                after = self.following(key)
            except BaseException as error:  # raised again where the value is asked for
                failure = error
            with self._changed:
                self._working = False
                if this_round == self._round:
                    self._ready.append((key, value, failure))
                    self._making, self._next = None, after
                self._changed.notify_all()

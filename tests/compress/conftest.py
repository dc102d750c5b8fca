"""Fixtures of this room: see `tests.helpers.checkpoints`."""

from tests.helpers.checkpoints import bert, checkpoints, one_thread

__all__ = ["bert", "checkpoints", "one_thread"]

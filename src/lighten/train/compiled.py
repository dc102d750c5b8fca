"""How many compiled matrix products oneDNN keeps: in bf16 on a CPU each new size of batch adds some."""

from __future__ import annotations

import os

CAPACITY = 64
"""The library's own is 1,024; see `benchmarks/probe_memory.py` for what that takes and what a smaller one costs."""
VARIABLE = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


def keep_few() -> None:
    """Ask oneDNN to keep few; without effect once it has computed anything, or where the user has set the variable."""
    os.environ.setdefault(VARIABLE, str(CAPACITY))

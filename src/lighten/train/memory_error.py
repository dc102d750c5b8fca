"""Tells an error that says memory ran out from all others."""

from __future__ import annotations

NO_MEMORY = ("can't allocate memory", "out of memory", "status_alloc_failed")
"""What the CPU's allocator, the driver of a GPU and its libraries say."""


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on a GPU or on the CPU."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    # Beside torch's own allocator on GPUs, which has a class of its own, there is but the text to go by.
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in NO_MEMORY)

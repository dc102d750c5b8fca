"""Memory that all processes of a machine see: an anonymous file without a name, of which a crash leaves nothing."""

from __future__ import annotations

import mmap
import os
import secrets

import torch
import torch.distributed as dist

from lighten.train.parallel.group import Process

HEADER = 64
"""Bytes at the beginning that are `share`'s own; what follows is aligned as vector units like it."""


def obstacle(here: Process) -> str | None:
    """Return why these processes cannot share memory, None where they can; all of them call it, and find the same."""
    if here.local_size < here.world_size:
        return "the processes run on several machines"
    try:
        share(1).close()
    except OSError as error:
        return str(error)
    return None


def share(size: int) -> mmap.mmap:
    """Return memory that every process of the group maps, `HEADER` bytes and `size` more, all zero but the header.

    The first process makes a file in memory (``memfd_create``) and the others open it through its descriptor. Such a
    file has no name and takes no room in ``/dev/shm``, which containers keep small; pages that nobody touches take
    none at all. It lives as long as a process has it mapped. All processes of the group call it together.

    Raises:
        OSError: one of them cannot have it; raised on all of them.
    """
    length, first = HEADER + size, dist.get_rank() == 0
    memory: mmap.mmap | None = None
    descriptor, why = -1, ""
    about = torch.zeros(3, dtype=torch.int64)
    if first:
        mark = secrets.randbits(62)
        try:
            descriptor = _anonymous(length)
            memory = mmap.mmap(descriptor, length)
            memory[:8] = mark.to_bytes(8, "little")
            about = torch.tensor([os.getpid(), descriptor, mark])
        except OSError as error:
            why = str(error)
    dist.broadcast(about, 0)
    process, number, mark = about.tolist()
    if process and not first:
        try:
            descriptor = os.open(f"/proc/{process}/fd/{number}", os.O_RDWR)
            memory = _mapped(descriptor, length, mark)
        except OSError as error:
            why = str(error)
    everywhere = torch.tensor([int(memory is not None)])
    dist.all_reduce(everywhere, dist.ReduceOp.MIN)  # and nobody closes what another has yet to open
    if descriptor >= 0:
        os.close(descriptor)
    if memory is None or not everywhere.item():
        raise OSError(why or "another process cannot reach memory of this one")
    return memory


def _anonymous(length: int) -> int:
    if not hasattr(os, "memfd_create"):
        raise OSError("this system has no files in memory")
    descriptor = os.memfd_create("lighten", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, length)
    return descriptor


def _mapped(descriptor: int, length: int, mark: int) -> mmap.mmap:
    """Map a file that was opened by number, if it is the one meant: in another container the number is another's."""
    if os.fstat(descriptor).st_size == length:
        memory = mmap.mmap(descriptor, length)
        if memory[:8] == mark.to_bytes(8, "little"):
            return memory
    raise OSError("the processes run in different containers")

"""What a measurement was taken on: facts that matter for speed, none that name a person, host or folder."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

# Instruction sets on which the speed (and for int8 the result) of ONNX Runtime's kernels depends.
ISA = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
ISA_ARM = ("asimd", "asimddp", "i8mm", "bf16", "sve", "sve2")
PACKAGES = ("lighten", "onnxruntime", "numpy", "tokenizers", "torch", "transformers")


def describe() -> dict[str, Any]:
    """Describe this machine: cpu, cores usable, instruction sets, memory, system, versions, load."""
    cpuinfo = _read(Path("/proc/cpuinfo"))
    return {
        "cpu": cpu_model(cpuinfo),
        "architecture": platform.machine(),
        "cores": usable_cores(),
        "isa": isa_flags(cpuinfo),
        "memory_mb": memory_mb(),
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": versions(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def cpu_model(cpuinfo: str) -> str:
    """Return the processor's name from the text of ``/proc/cpuinfo``, or from the system where there is none."""
    for key in ("model name", "Hardware", "Processor"):
        for line in cpuinfo.splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key and value.strip():
                return value.strip()
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    return platform.processor() or "unknown"


def isa_flags(cpuinfo: str) -> list[str]:
    """Return which of `ISA` and `ISA_ARM` the processor has."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            has = set(value.split())
            return [flag for flag in (*ISA, *ISA_ARM) if flag in has]
    return []


def usable_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many cores this process may use: its affinity, and the quota of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, period = _quota(cgroup)
    if quota > 0 and period > 0:
        cores = min(cores, max(1, -(-quota // period)))
    return cores


def _quota(cgroup: Path) -> tuple[int, int]:
    """Return microseconds of CPU per period, (0, 0) without a limit; control groups version 2, then 1."""
    second = _read(cgroup / "cpu.max").split()
    if len(second) == 2 and second[0].isdigit():
        return int(second[0]), int(second[1])
    quota, period = _read(cgroup / "cpu/cpu.cfs_quota_us").strip(), _read(cgroup / "cpu/cpu.cfs_period_us").strip()
    return (int(quota), int(period)) if quota.isdigit() and period.isdigit() else (0, 0)


def memory_mb(cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the memory this process may use, in millions of bytes; None where the system does not say."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limit = _read(cgroup / name).strip()
        if limit.isdigit():
            memory = min(memory, int(limit))
    return round(memory / 1e6)


def versions() -> dict[str, str]:
    """Return the versions of the packages that take part, as far as they are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

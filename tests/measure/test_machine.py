import getpass
import json
import os
import platform

from lighten.measure import machine

INTEL = "processor\t: 0\nmodel name\t: Some CPU @ 2.60GHz\nflags\t\t: fpu avx2 avx512f avx512_vnni amx_int8\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\nCPU part\t: 0xd0c\n"


def test_describes_without_naming_anybody():
    found = machine.describe()
    text = json.dumps(found)
    assert found["cores"] >= 1 and found["memory_mb"] > 100 and found["packages"]["onnxruntime"]
    assert platform.node() not in text
    assert getpass.getuser() not in found.values() and os.getcwd() not in text


def test_reads_cpuinfo():
    assert machine.cpu_model(INTEL) == "Some CPU @ 2.60GHz"
    assert machine.isa_flags(INTEL) == ["avx2", "avx512f", "avx512_vnni", "amx_int8"]
    assert machine.isa_flags(ARM) == ["asimd", "asimddp", "i8mm"]
    assert machine.isa_flags("") == []
    assert machine.cpu_model("")


def test_a_container_s_limits_count(tmp_path):
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert machine.usable_cores(tmp_path) == mine
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.usable_cores(tmp_path) == mine
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert machine.usable_cores(tmp_path) == 1
    whole = machine.memory_mb(tmp_path)
    (tmp_path / "memory.max").write_text("64000000\n")
    assert machine.memory_mb(tmp_path) == 64 < whole


def test_version_one_of_control_groups(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert machine.usable_cores(tmp_path) == 1
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("-1\n")
    assert machine.usable_cores(tmp_path) >= 1

import json
import subprocess
import sys

import pytest

from lighten.errors import InputError
from lighten.measure.memory import own_peak_mb, peak_memory_mb

TARGET = {"threads": 1, "batch": 2, "tokens": 8}


def test_a_fresh_process_is_weighed(shared_model_folder):
    assert 25 < peak_memory_mb(shared_model_folder, TARGET) < 250


def test_own_peak_counts_what_was_allocated_and_freed():
    code = (
        "from lighten.measure.memory import own_peak_mb; before = own_peak_mb();"
        "block = bytearray(b'x') * 200_000_000; del block; print(own_peak_mb() - before)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 190 < float(found) < 260
    assert own_peak_mb() > 10


@pytest.mark.skipif(sys.platform != "linux", reason="the trap is the Linux kernel's")
def test_the_parent_s_memory_is_not_charged_to_the_model(shared_model_folder):
    code = (
        "import json, resource, sys; from lighten.measure.memory import own_peak_mb, peak_memory_mb;"
        "block = bytearray(b'x') * 600_000_000;"
        "print(json.dumps([own_peak_mb(), peak_memory_mb(sys.argv[1], json.loads(sys.argv[2]))]))"
    )
    command = [sys.executable, "-c", code, str(shared_model_folder), json.dumps(TARGET)]
    parent, child = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert parent > 600 and child < 250


def test_a_bad_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="no such model folder"):
        peak_memory_mb(tmp_path / "nowhere", TARGET)

import os
import subprocess
import sys

import pytest

from lighten.errors import InputError
from lighten.runtime.session import is_quantised, open_session


def test_opens_with_the_settings_asked_for(shared_model_folder):
    session = open_session(shared_model_folder / "onnx/model.onnx", threads=3, spinning=False)
    options = session.get_session_options()
    assert options.intra_op_num_threads == 3
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "1"
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
    assert session.get_providers() == ["CPUExecutionProvider"]
    between = open_session(shared_model_folder / "onnx/model.onnx", threads=3, spinning=True)
    assert between.get_session_options().get_session_config_entry("session.force_spinning_stop") == "0"


def test_no_graph_is_an_input_error(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"not a graph")
    with pytest.raises(InputError, match=r"model\.onnx: ONNX Runtime .* cannot load the graph"):
        open_session(file, threads=1, spinning=False)


def test_knows_integer_graphs(tmp_path, shared_model_folder):
    from onnxruntime.quantization import quantize_dynamic

    graph = shared_model_folder / "onnx/model.onnx"
    assert not is_quantised(graph)
    quantize_dynamic(graph, tmp_path / "int8.onnx")
    assert is_quantised(tmp_path / "int8.onnx")


def test_leaves_no_telemetry_behind(tmp_path, shared_model_folder):
    environment = {
        name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-m", "lighten.runtime", str(shared_model_folder), "a triumph"]
    subprocess.run(command, env={**environment, "HOME": str(home)}, check=True, capture_output=True)
    assert list(home.rglob("*")) == []

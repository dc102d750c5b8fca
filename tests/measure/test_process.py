import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from lighten.errors import InputError, LightenError
from lighten.measure import process
from lighten.measure.process import ask
from lighten.measure.worker import answer


def test_a_worker_that_dies_says_its_last_words():
    with pytest.raises(LightenError, match=r"measuring process ended with status 1: .*KeyError: 'paint'") as caught:
        ask({"do": "paint"})
    assert not isinstance(caught.value, InputError)


def test_bad_input_found_by_the_worker_stays_bad_input(tmp_path):
    request = {"do": "memory", "folder": str(tmp_path), "target": {"threads": 1, "batch": 1, "tokens": 8}}
    with pytest.raises(InputError, match=r"no lighten\.json here"):
        ask(request)


def fake(monkeypatch, tmp_path, code):
    package = tmp_path / "fake"
    package.mkdir()
    (package / "python").write_text(f"#!{sys.executable}\n{code}\n")
    os.chmod(package / "python", 0o755)
    monkeypatch.setattr(process, "PYTHON", (str(package / "python"),))


def test_a_worker_answers_what_it_is_given():
    out = io.StringIO()
    answer({"double": lambda asked, report: asked["n"] * 2}, b'{"do": "double", "n": 4}', out)
    assert json.loads(out.getvalue()) == {"answer": 8}


def test_what_a_library_prints_in_a_worker_is_no_answer(monkeypatch, tmp_path):
    lines = [
        "import os, sys",
        f"sys.path[:0] = {sys.path!r}",
        "from lighten.measure.worker import main",
        "def noisy(asked, report):",
        "    print('a warning')",
        "    os.write(1, b'and one from C')",
        "    return 5",
        "sys.exit(main({'noisy': noisy}))",
    ]
    fake(monkeypatch, tmp_path, "\n".join(lines))
    assert ask({"do": "noisy"}) == 5


def test_a_killed_worker_is_explained(monkeypatch, tmp_path):
    fake(monkeypatch, tmp_path, "import os, signal, sys; sys.stdin.read(); os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(LightenError, match=r"SIGKILL \(out of memory\?\): no message"):
        ask({"do": "memory"})


def test_a_worker_that_never_listens_is_explained(monkeypatch, tmp_path):
    fake(monkeypatch, tmp_path, "import sys; sys.stdin.close(); sys.exit('no python here')")
    with pytest.raises(LightenError, match="status 1: no python here"):
        ask({"do": "memory", "padding": "x" * 1_000_000})


def test_progress_and_answer(monkeypatch, tmp_path):
    code = "print('{\"progress\": 0.5}'); print('{\"answer\": [1, 2]}')"
    fake(monkeypatch, tmp_path, f"import sys; sys.stdin.read(); {code}")
    shares = []
    assert ask({}, shares.append) == [1, 2]
    assert shares == [0.5]


def test_an_interrupt_takes_the_worker_along(monkeypatch, tmp_path):
    fake(monkeypatch, tmp_path, "import time; print('{\"progress\": 0.1}', flush=True); time.sleep(60)")

    def interrupt(share):
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ask({}, interrupt)
    assert time.monotonic() - started < 30


def test_ctrl_c_does_not_reach_the_worker(monkeypatch, tmp_path):
    """A terminal sends SIGINT to every process of the group; the one that asked decides."""
    code = (
        "import json, os, signal, sys, time\n"
        "print(json.dumps({'progress': os.getpid()}), flush=True)\n"
        "time.sleep(0.3)\n"
        "print(json.dumps({'answer': 'alive'}))"
    )
    fake(monkeypatch, tmp_path, code)
    assert ask({}, lambda worker: os.kill(int(worker), signal.SIGINT)) == "alive"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())  # this process hears it again


def test_a_worker_that_hangs_is_ended_and_named(monkeypatch, tmp_path):
    fake(monkeypatch, tmp_path, "import time; print('{\"progress\": 0.5}', flush=True); time.sleep(60)")
    started = time.monotonic()
    with pytest.raises(LightenError, match=r"said nothing for 0\.5 seconds"):
        ask({}, silence=0.5)
    assert time.monotonic() - started < 30


def test_a_worker_that_speaks_may_take_its_time(monkeypatch, tmp_path):
    code = (
        "import json, time\n"
        "for i in range(8): print(json.dumps({'progress': i}), flush=True); time.sleep(0.25)\n"
        "print(json.dumps({'answer': 7}))"
    )
    fake(monkeypatch, tmp_path, code)
    assert ask({}, silence=1.5) == 7


def test_the_worker_imports_nothing_of_weight():
    code = (
        "import sys; import lighten.measure.worker, lighten.measure.timing, lighten.measure.memory;"
        "heavy = {'torch', 'transformers', 'pydantic', 'sklearn', 'polars', 'onnx', 'rich', 'typer'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_itself_imports_nothing():
    code = "import sys, lighten.measure; print('numpy' in sys.modules, 'onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


def test_public_names_all_exist_and_do_not_change_on_second_use():
    import lighten.measure as room

    for name in room.__all__:
        assert getattr(room, name) is getattr(room, name)
        assert not isinstance(getattr(room, name), type(room)), name
    with pytest.raises(AttributeError):
        _ = room.nothing

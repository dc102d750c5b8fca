import json
import subprocess
import sys

from lighten.runtime import load


def run(*arguments):
    return subprocess.run([sys.executable, "-P", *arguments], capture_output=True, text=True, check=False)


def test_prints_one_line_per_text(shared_model_folder):
    done = run("-m", "lighten.runtime", str(shared_model_folder), "a triumph", "a dull mess")
    assert done.returncode == 0 and done.stderr == ""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines == [vars(item) for item in load(shared_model_folder).predict(["a triumph", "a dull mess"])]


def test_a_bad_folder_is_one_sentence_and_status_2(tmp_path):
    done = run("-m", "lighten.runtime", str(tmp_path / "nowhere"), "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no such model folder" in done.stderr and "Traceback" not in done.stderr
    assert run("-m", "lighten.runtime").returncode == 2


def test_predicting_imports_none_of_the_tools_that_made_the_model(shared_model_folder):
    code = (
        "import sys; from lighten.runtime import load; load(sys.argv[1]).predict('a triumph');"
        "heavy = {'torch', 'transformers', 'pydantic', 'sklearn', 'polars', 'onnx', 'rich'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = run("-c", code, str(shared_model_folder))
    assert done.stdout.strip() == "[]", done.stdout + done.stderr

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata

import pytest

import lighten
from lighten.pipeline.compression_result import compression_json_schema
from lighten.pipeline.result import result_json_schema
from lighten.pipeline.training_result import training_json_schema
from lighten.recipe import recipe_json_schema

HEAVY = {"torch", "transformers", "polars", "sklearn", "scipy", "rich", "jinja2", "onnx", "optuna"}
VERBS = ("build", "compress", "train", "plan", "predict", "report", "verify", "schema", "version")
SCHEMAS = [
    ("recipe", recipe_json_schema),
    ("result", result_json_schema),
    ("training", training_json_schema),
    ("compression", compression_json_schema),
]


def _imported(*arguments):
    script = (
        "import sys, json; from lighten.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1])), done.stdout


def test_help_names_every_verb_and_imports_nothing_heavy():
    modules, text = _imported("--help")
    for verb in VERBS:
        assert verb in text
    heavy = {
        "pydantic",
        "yaml",
        "numpy",
        "rich",
        "torch",
        "polars",
        "transformers",
        "onnxruntime",
        "jinja2",
        "sklearn",
    }
    assert not modules & heavy


def test_importing_the_package_imports_nothing():
    script = (
        "import sys, typing, json; old = set(sys.modules)\n"
        "import lighten; print(json.dumps([*set(sys.modules) - old]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) <= {"lighten", "__future__"}


def test_predict_imports_no_torch(shared_model_folder):
    modules, text = _imported("predict", str(shared_model_folder), "good")
    assert text.splitlines()[0].count("\t") == 2
    assert modules & HEAVY == set()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(run, verb):
    done = run(verb, "--help")
    assert done.exit_code == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize("arguments", [("version",), ("--version",)])
def test_version(run, arguments):
    done = run(*arguments)
    assert done.stdout == f"lighten {lighten.__version__}\n"
    assert done.exit_code == 0


def test_the_version_is_that_of_the_package():
    assert lighten.__version__ == metadata.version("lighten")


@pytest.mark.parametrize("arguments", [("fly",), ("build",), ("build", "a", "--fast"), ("schema", "model"), ()])
def test_bad_usage_exits_2(run, arguments):
    done = run(*arguments)
    assert done.exit_code == 2
    assert "Traceback" not in done.output


@pytest.mark.parametrize(("kind", "make"), SCHEMAS)
def test_schema(run, kind, make):
    done = run("schema", kind)
    assert done.exit_code == 0
    assert json.loads(done.stdout) == make()


def test_public_names_are_there():
    for name in lighten.__all__:
        assert getattr(lighten, name) is not None
        assert name in dir(lighten)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lighten.nothing  # noqa: B018


def test_the_module_runs():
    done = subprocess.run([sys.executable, "-m", "lighten", "version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("lighten ")

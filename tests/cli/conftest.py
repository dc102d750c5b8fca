from __future__ import annotations

import pytest
import yaml
from tests.helpers.command_line import RECIPE
from typer.testing import CliRunner

from lighten.cli.app import app


@pytest.fixture
def run():
    """Run the command line in this process: run("predict", folder, "text") has exit_code, stdout, stderr."""

    def call(*arguments, input=None):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)

    return call


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe below the current folder, by its relative path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    path = tmp_path / "recipes" / "tickets.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path.relative_to(tmp_path)

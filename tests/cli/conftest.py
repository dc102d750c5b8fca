from __future__ import annotations

import pytest
from typer.testing import CliRunner

from lighten.cli.app import app


@pytest.fixture
def run():
    """Run the command line in this process: run("predict", folder, "text") has exit_code, stdout, stderr."""

    def call(*arguments, input=None):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)

    return call
